import { InvalidOptionError, requireInteger, requireKnownKeys, requireOneOf } from '@frugaljs/core';
import { InvalidCheckpointError } from './bytes.js';
import { CheckpointVersionError, type Manifest, nextSequence } from './manifest.js';
import { SavedCheckpoint } from './saved-checkpoint.js';
import { type Snapshot, type TrainingState, takeSnapshot, writeCheckpoint } from './snapshot.js';
import {
  CheckpointHeldError,
  CheckpointStorageError,
  type CheckpointStore,
  type Lease,
  type StorageFault,
} from './stores.js';

export interface CheckpointsOptions {
  readonly store: CheckpointStore;
  /** How many of the latest checkpoints to keep. Default 3. */
  readonly keepLast?: number;
  /** How many of those with the lowest metric to keep besides. Default 1. */
  readonly keepBest?: number;
  /** Receives what is worth a line but no error. Default `console.warn`. */
  readonly onWarning?: (message: string) => void;
}

export interface SaveOptions {
  /**
   * What to do while an earlier checkpoint is still being written: `skip` this one (default), so that training never
   * waits for the disk, or `wait`.
   */
  readonly whileBusy?: 'skip' | 'wait';
  /**
   * True (default): copy all tensors to the host, then write while training goes on. False: write tensor by tensor,
   * without a copy of the whole; `save` resolves when the checkpoint is on disk.
   */
  readonly copy?: boolean;
}

/** A save under way. */
export interface Saving {
  readonly step: number;
  /** Resolves with the name of the checkpoint once it is durable; rejects as the store does. */
  readonly done: Promise<string>;
}

/** Saves, lists, finds and thins out the checkpoints of a store. */
export class Checkpoints {
  readonly store: CheckpointStore;
  readonly #keepLast: number;
  readonly #keepBest: number;
  readonly #warn: (message: string) => void;
  /** The lease of the store, from when it is asked for. */
  #lease: Promise<Lease | null> | null = null;
  readonly #manifests = new Map<string, Manifest>();
  /** Those that were read back after writing, or verified. */
  readonly #intact = new Set<string>();
  /** Saves under way or waiting, and the end of the last of them. */
  #saves = 0;
  #last: Promise<void> = Promise.resolve();
  /** What made a write beside training fail, until somebody is told. */
  #failure: { readonly error: unknown } | null = null;

  constructor(options: CheckpointsOptions) {
    requireKnownKeys('Checkpoints', options, ['store', 'keepLast', 'keepBest', 'onWarning']);
    const { store, keepLast = 3, keepBest = 1, onWarning = console.warn } = options;
    requireStore(store);
    this.store = store;
    this.#keepLast = requireInteger('checkpoints.keepLast', keepLast, 1);
    this.#keepBest = requireInteger('checkpoints.keepBest', keepBest, 0);
    this.#warn = onWarning;
  }

  /**
   * Takes the store for this run, as otherwise the first save does, and makes sure that it can be written; worth doing
   * before hours of training.
   *
   * @throws CheckpointHeldError if another run saves there; CheckpointStorageError if it cannot be written.
   */
  async prepare(): Promise<void> {
    await this.#acquire();
    await this.store.prepare();
  }

  /**
   * Waits until nothing is being written, then lets another run have the store. A later save takes it again. The end of
   * the process does the same. That the last write failed is a warning, unless {@link settled} or a save has told.
   */
  async release(): Promise<void> {
    const end = await this.#enter();
    try {
      const lease = this.#lease;
      this.#lease = null;
      await (await lease?.catch(() => null))?.release();
      this.#warnOf(this.#takeFailure());
    } finally {
      end();
    }
  }

  /**
   * Saves a checkpoint. Resolves when the tensors are copied out of the backend, so that training can go on while the
   * checkpoint is written. The state must not change before that.
   *
   * If the write before this one failed, that is a warning, and this save resolves only when its checkpoint is on disk:
   * a store that keeps failing is an error here, not a series of warnings.
   *
   * @returns Null if it was skipped because an earlier one is still being written.
   * @throws What made this write fail, where it is waited for: CheckpointStorageError when the disk is full.
   * @throws InvalidOptionError or NotSerializableError for a state that cannot be saved.
   */
  async save(state: TrainingState, options: SaveOptions = {}): Promise<Saving | null> {
    requireKnownKeys('save.options', options, ['whileBusy', 'copy']);
    const { whileBusy = 'skip', copy = true } = options;
    requireOneOf('save.options.whileBusy', whileBusy, ['skip', 'wait']);
    if (this.#saves > 0 && whileBusy === 'skip') return null;
    const release = await this.#enter();
    let isWaitedFor = !copy;
    let snapshot: Snapshot;
    try {
      snapshot = await takeSnapshot(state, copy);
      const earlier = this.#takeFailure();
      if (earlier !== null) isWaitedFor = true;
      this.#warnOf(earlier);
    } catch (error) {
      release();
      throw error;
    }
    const done = this.#write(snapshot)
      .catch(error => {
        // Whoever awaits `done` hears of it; in case nobody does, the next save or settled() tells. Noted before anyone
        // who waits is woken.
        if (!isWaitedFor) this.#failure = { error };
        throw error;
      })
      .finally(release);
    if (isWaitedFor) await done;
    else done.catch(() => {});
    return { step: snapshot.step, done };
  }

  /**
   * Waits until nothing is being written.
   *
   * @throws What made the last write fail, once.
   */
  async settled(): Promise<void> {
    await this.#idle();
    const failure = this.#takeFailure();
    if (failure !== null) throw failure.error;
  }

  /**
   * The complete checkpoints, the one saved last first. Files are not read; what is no checkpoint, or of another
   * version, is left out with a warning.
   */
  async list(): Promise<readonly SavedCheckpoint[]> {
    return (await this.#look(new Set())).found;
  }

  /**
   * The checkpoint saved last whose files are all as they were written; null if there is none. One that is being written
   * is waited for.
   */
  async latest(): Promise<SavedCheckpoint | null> {
    await this.#idle();
    return this.#firstIntact(all => all);
  }

  /** The intact checkpoint with the lowest metric; null if there is none with a metric. Waits as {@link latest} does. */
  async best(): Promise<SavedCheckpoint | null> {
    await this.#idle();
    return this.#firstIntact(all => all.filter(({ metric }) => metric !== null).sort((a, b) => a.metric! - b.metric!));
  }

  /**
   * Removes what is more than is to be kept, as every save does after writing: worth doing where there is no room for one
   * more. The only checkpoint that can be read stays.
   *
   * @param spare Names to keep in any case, such as that of the checkpoint that was just restored.
   */
  async thinOut(spare: readonly string[] = []): Promise<void> {
    await this.#acquire();
    await this.#readManifests();
    await this.#thinOut(spare);
  }

  /** Opens a checkpoint by name. */
  async open(name: string): Promise<SavedCheckpoint> {
    return SavedCheckpoint.open(this.store, name);
  }

  /** Waits for the saves before this one; the function ends this one. */
  async #enter(): Promise<() => void> {
    const before = this.#last;
    let end = (): void => {};
    // Claimed before the first await, so that two calls at once do not both write.
    this.#last = new Promise(resolve => {
      end = resolve;
    });
    this.#saves++;
    await before;
    return () => {
      this.#saves--;
      end();
    };
  }

  async #idle(): Promise<void> {
    while (this.#saves > 0) await this.#last;
  }

  /** A failure that is told of is told once. */
  #takeFailure(): { readonly error: unknown } | null {
    const failure = this.#failure;
    this.#failure = null;
    return failure;
  }

  #warnOf(failure: { readonly error: unknown } | null): void {
    if (failure !== null) this.#warn(`A checkpoint could not be written: ${(failure.error as Error).message}`);
  }

  /** Whoever saves or removes holds the store; whoever reads does not. */
  async #acquire(): Promise<void> {
    this.#lease ??= Promise.resolve(this.store.acquire?.(this.#warn) ?? null);
    try {
      await this.#lease;
    } catch (error) {
      this.#lease = null;
      throw error;
    }
  }

  async #write(snapshot: Snapshot): Promise<string> {
    await this.#acquire();
    await this.#readManifests();
    const sequence = nextSequence(this.#manifests.values());
    const { name, manifest } = await writeCheckpoint(this.store, snapshot, sequence);
    this.#manifests.set(name, manifest);
    this.#intact.add(name);
    await this.#thinOut();
    return name;
  }

  /** Learns of checkpoints that an earlier process left, and forgets those that are gone. */
  async #readManifests(): Promise<void> {
    const names = await this.store.list();
    for (const name of this.#manifests.keys()) {
      if (names.includes(name)) continue;
      this.#manifests.delete(name);
      this.#intact.delete(name);
    }
    for (const name of names) {
      if (this.#manifests.has(name)) continue;
      try {
        this.#manifests.set(name, (await SavedCheckpoint.open(this.store, name)).manifest);
      } catch (error) {
        // No checkpoint that we could have written is neither counted nor removed. But one that cannot be read just now
        // may be the latest: a save that is counted without it would come to stand before it.
        if (!isForeign(error) && !isStorageFault(error, 'missing') && !isStorageFault(error, 'not-writable'))
          throw error;
      }
    }
  }

  /** A checkpoint that cannot be removed is a nuisance, not a reason to lose the run. */
  async #thinOut(spare: readonly string[] = []): Promise<void> {
    const all = [...this.#manifests].map(([name, { sequence, metric }]) => ({ name, sequence, metric }));
    const doomed = superfluous(all, this.#keepLast, this.#keepBest).filter(name => !spare.includes(name));
    for (const name of await this.#expendable(doomed)) {
      try {
        await this.store.remove(name);
        this.#manifests.delete(name);
        this.#intact.delete(name);
      } catch (error) {
        this.#warn(`${name} could not be removed: ${(error as Error).message}`);
        // Nothing here is this run's to remove any more.
        if (error instanceof CheckpointHeldError) return;
      }
    }
  }

  /**
   * Those of the checkpoints to remove without which there still is one that can be read. That is known of what was just
   * saved; otherwise those that stay are read.
   */
  async #expendable(doomed: readonly string[]): Promise<readonly string[]> {
    if (doomed.length === 0) return doomed;
    const staying = [...this.#manifests].filter(([name]) => !doomed.includes(name));
    staying.sort(([, a], [, b]) => b.sequence - a.sequence);
    for (const names of [staying.map(([name]) => name), doomed]) {
      const intact = names.find(name => this.#intact.has(name)) ?? (await this.#firstThatReads(names));
      if (intact === null) continue;
      if (doomed.includes(intact)) this.#warn(`${intact} is kept: none of those that were to be kept can be read.`);
      return doomed.filter(name => name !== intact);
    }
    return [];
  }

  async #firstThatReads(names: readonly string[]): Promise<string | null> {
    for (const name of names) {
      try {
        await (await this.open(name)).verify();
        this.#intact.add(name);
        return name;
      } catch {
        // Whatever the reason: what cannot be read now is nothing to rest on.
      }
    }
    return null;
  }

  /**
   * Looks anew where another run removes one while it is read: that run has saved a later one before.
   *
   * @throws CheckpointStorageError if that goes on and on.
   */
  async #firstIntact(
    choose: (all: readonly SavedCheckpoint[]) => readonly SavedCheckpoint[],
  ): Promise<SavedCheckpoint | null> {
    const told = new Set<string>();
    for (let attempt = 0; attempt < ATTEMPTS; attempt++) {
      const { found, isWhole } = await this.#look(told);
      const { intact, hasVanished } = await this.#verifyInTurn(choose(found), told);
      if (intact !== null || (isWhole && !hasVanished)) return intact;
    }
    throw new CheckpointStorageError('missing', {
      parameter: this.store.location,
      found: `checkpoints that another run removed, ${ATTEMPTS} times in a row`,
      expected: 'one that stays while it is read',
      advice: 'Save less often there, or keep more of them (keepLast).',
    });
  }

  /** The first that is intact, unless one before it is removed meanwhile. */
  async #verifyInTurn(
    candidates: readonly SavedCheckpoint[],
    told: Set<string>,
  ): Promise<{ readonly intact: SavedCheckpoint | null; readonly hasVanished: boolean }> {
    for (const candidate of candidates) {
      try {
        await candidate.verify();
        this.#intact.add(candidate.name);
        return { intact: candidate, hasVanished: false };
      } catch (error) {
        if (isStorageFault(error, 'missing')) return { intact: null, hasVanished: true };
        this.#passOver(candidate.name, error, told);
      }
    }
    return { intact: null, hasVanished: false };
  }

  /** What is there, the one saved last first, and whether all of it was still there when it was opened. */
  async #look(told: Set<string>): Promise<{ readonly found: readonly SavedCheckpoint[]; readonly isWhole: boolean }> {
    const found: SavedCheckpoint[] = [];
    let isWhole = true;
    for (const name of await this.store.list()) {
      try {
        found.push(await SavedCheckpoint.open(this.store, name));
      } catch (error) {
        if (isStorageFault(error, 'missing')) isWhole = false;
        else this.#passOver(name, error, told);
      }
    }
    return { found: found.sort((a, b) => b.manifest.sequence - a.manifest.sequence), isWhole };
  }

  /** @param told Names that a line was written about. */
  #passOver(name: string, error: unknown, told: Set<string>): void {
    if (!isForeign(error)) throw error;
    if (!told.has(name)) this.#warn(`${name} is passed over: ${error.message}`);
    told.add(name);
  }
}

/** How often to look for the latest while another run removes what is being read. */
const ATTEMPTS = 100;

/** Whatever was to be opened is no checkpoint, or none of this version. */
function isForeign(error: unknown): error is InvalidCheckpointError | CheckpointVersionError {
  return error instanceof InvalidCheckpointError || error instanceof CheckpointVersionError;
}

function isStorageFault(error: unknown, fault: StorageFault): boolean {
  return error instanceof CheckpointStorageError && error.fault === fault;
}

function requireStore(store: CheckpointStore): void {
  if (typeof store === 'object' && store !== null && typeof store.begin === 'function') return;
  throw new InvalidOptionError({
    parameter: 'Checkpoints.store',
    found: store,
    expected: 'a store: new FolderStore(path) of @frugaljs/checkpoint/node, IndexedDbStore or MemoryStore',
  });
}

/** What a decision about keeping needs to know of a checkpoint. */
interface Kept {
  readonly name: string;
  readonly sequence: number;
  readonly metric: number | null;
}

/**
 * The checkpoints to remove: all but the `keepLast` saved last and the `keepBest` with the lowest metric, of equals the
 * later one.
 */
function superfluous(checkpoints: readonly Kept[], keepLast: number, keepBest: number): readonly string[] {
  const newest = [...checkpoints].sort((a, b) => b.sequence - a.sequence);
  const best = newest.filter(({ metric }) => metric !== null).sort((a, b) => a.metric! - b.metric!);
  const kept = new Set([...newest.slice(0, keepLast), ...best.slice(0, keepBest)]);
  return newest.filter(checkpoint => !kept.has(checkpoint)).map(({ name }) => name);
}
