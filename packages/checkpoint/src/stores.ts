import { type Complaint, FrugalError } from '@frugaljs/core';
import { type ByteSink, type ByteSource, bytesSource, type Crc32, MemorySink } from './bytes.js';

/**
 * A place that holds checkpoints, each a handful of named files. A checkpoint appears in it whole or not at all: its
 * files are written into a draft, and committing the draft is one atomic step.
 */
export interface CheckpointStore {
  /** Where it is, for messages. */
  readonly location: string;
  /** A faster CRC-32 than the one in TypeScript, if the platform has one. */
  readonly crc32?: Crc32;
  /**
   * Makes sure that the store can be written and removes what a crash left behind.
   *
   * @throws CheckpointStorageError if it cannot be written.
   */
  prepare(): Promise<void>;
  /**
   * Claims the store for one run: until the lease is released or runs out, nobody else gets one. Only who saves or removes
   * needs it. A store that nobody else can reach has none to give.
   *
   * @param onWait Receives a line where it takes a while to find out whether the run that held it is still there.
   * @throws CheckpointHeldError if another run holds it; CheckpointStorageError if it cannot be written.
   */
  acquire?(onWait: (line: string) => void): Promise<Lease>;
  /** Names of the committed checkpoints, in any order. An absent store has none. */
  list(): Promise<readonly string[]>;
  begin(): Promise<CheckpointDraft>;
  /** @throws CheckpointStorageError if there is no such checkpoint. */
  open(name: string): Promise<StoredCheckpoint>;
  /** Removes a checkpoint whole; an absent one is no error. */
  remove(name: string): Promise<void>;
}

/**
 * The right to save into a store and to remove from it. Its holder renews it; once it was not renewed for a while, another
 * run may take it. From then on what the former holder writes becomes no checkpoint, and it removes none: its next call
 * throws CheckpointHeldError.
 */
export interface Lease {
  /** Lets others have the store. Never throws, and does nothing the second time. */
  release(): Promise<void>;
}

/** The lease of one store: those who share the store share it, and the last of them releases it. */
export class SharedLease<Held extends Lease> {
  #taken: Promise<Held> | null = null;
  #held: Held | null = null;
  #holders = 0;

  /** Null while nobody holds it. */
  get held(): Held | null {
    return this.#held;
  }

  async acquire(take: () => Promise<Held>): Promise<Lease> {
    this.#taken ??= take();
    const taken = this.#taken;
    this.#holders++;
    try {
      this.#held = await taken;
    } catch (error) {
      this.#holders--;
      if (this.#taken === taken) this.#taken = null;
      throw error;
    }
    const lease = this.#held;
    let isReleased = false;
    return {
      release: async () => {
        if (isReleased) return;
        isReleased = true;
        if (--this.#holders > 0) return;
        this.#taken = null;
        this.#held = null;
        await lease.release();
      },
    };
  }
}

/** A checkpoint being written. */
export interface CheckpointDraft {
  create(file: string): Promise<ByteSink>;
  /** Opens a file that was written, to read it back; null if there is none of that name. */
  file(name: string): Promise<ByteSource | null>;
  /**
   * Makes the draft a checkpoint, durably.
   *
   * @param name The wished name; if it is taken, a number is added.
   * @returns The name it got.
   */
  commit(name: string): Promise<string>;
  /** Removes the draft; never throws. */
  discard(): Promise<void>;
}

/** A committed checkpoint. */
export interface StoredCheckpoint {
  readonly name: string;
  /** Opens a file; null if the checkpoint has none of that name. */
  file(name: string): Promise<ByteSource | null>;
}

/** Why a store could not be written or read. `held`: another run saves there. */
export type StorageFault = 'full' | 'not-writable' | 'in-the-way' | 'missing' | 'device' | 'held';

/** The store failed: disk full, folder not writable, device gone. Checkpoints saved before are untouched. */
export class CheckpointStorageError extends FrugalError {
  readonly fault: StorageFault;

  constructor(fault: StorageFault, complaint: Complaint, cause?: unknown) {
    super('checkpoint-storage', complaint);
    this.name = 'CheckpointStorageError';
    this.fault = fault;
    this.cause = cause;
  }
}

/** What is known of a run that holds a store. */
export interface LeaseHolder {
  /** A process or a page, as a person would find it. */
  readonly name: string;
  /** When it took the lease, and when it last renewed it: ISO 8601, by the clock of its machine. */
  readonly since: string;
  readonly renewed: string;
}

/** Another run saves into this store, or has taken it over. Nothing was written, and nothing removed. */
export class CheckpointHeldError extends CheckpointStorageError {
  /** Null where nothing is known of it. */
  readonly holder: LeaseHolder | null;

  constructor(complaint: Complaint, holder: LeaseHolder | null) {
    super('held', complaint);
    this.name = 'CheckpointHeldError';
    this.holder = holder;
  }
}

/** What a store throws that another run holds. */
export function heldBy(holder: LeaseHolder | null, location: string, advice: string): CheckpointHeldError {
  const found = `one that is held by ${described(holder)}`;
  return new CheckpointHeldError(
    { parameter: location, found, expected: 'a place that no other run saves into', advice },
    holder,
  );
}

/** What a store throws whose lease another run has taken. */
export function takenOver(holder: LeaseHolder | null, location: string): CheckpointHeldError {
  const found = holder === null ? 'it gone' : `it taken over by ${described(holder)}`;
  const advice =
    'This run saves and removes nothing more there: go on in another place, or from what the other run has saved.';
  return new CheckpointHeldError(
    { parameter: location, found, expected: 'the lease that this run took', advice },
    holder,
  );
}

/** A holder in words. */
export function described(holder: LeaseHolder | null): string {
  if (holder === null) return 'a run that left no name';
  return `${holder.name} since ${holder.since}, last renewed ${holder.renewed} by its clock`;
}

/** What a store throws that has these checkpoints and not the one asked for. */
export function noSuchCheckpoint(name: string, known: readonly string[], location: string): CheckpointStorageError {
  return new CheckpointStorageError('missing', {
    parameter: `checkpoint ${name}`,
    found: known.join(', ') || 'no checkpoints',
    expected: `one of that name in ${location}`,
  });
}

/** What a store throws whose checkpoint was there when it was opened. */
export function removedMeanwhile(name: string, location: string): CheckpointStorageError {
  return new CheckpointStorageError('missing', {
    parameter: `checkpoint ${name}`,
    found: `it removed from ${location} since it was opened`,
    expected: 'one that stays while it is read',
    advice: 'The run that saves there keeps only so many (keepLast, keepBest): take its latest.',
  });
}

/** `name`, `name-2`, `name-3` … */
export function numberedName(name: string, attempt: number): string {
  return attempt === 1 ? name : `${name}-${attempt}`;
}

/** Checkpoints in this process's memory: for rolling back within a run, and for tests. They end with the process. */
export class MemoryStore implements CheckpointStore {
  readonly location = 'memory';
  readonly #checkpoints = new Map<string, ReadonlyMap<string, Uint8Array>>();

  async prepare(): Promise<void> {}

  async list(): Promise<readonly string[]> {
    return [...this.#checkpoints.keys()];
  }

  async begin(): Promise<CheckpointDraft> {
    const sinks = new Map<string, MemorySink>();
    return {
      create: async file => {
        const sink = new MemorySink();
        sinks.set(file, sink);
        return sink;
      },
      file: async file => {
        const sink = sinks.get(file);
        return sink === undefined ? null : bytesSource(sink.bytes(), `draft/${file}`);
      },
      commit: async name => {
        let attempt = 1;
        while (this.#checkpoints.has(numberedName(name, attempt))) attempt++;
        const free = numberedName(name, attempt);
        this.#checkpoints.set(free, new Map([...sinks].map(([file, sink]) => [file, sink.bytes()])));
        return free;
      },
      discard: async () => sinks.clear(),
    };
  }

  async open(name: string): Promise<StoredCheckpoint> {
    const files = this.#checkpoints.get(name);
    if (files === undefined) {
      throw noSuchCheckpoint(name, await this.list(), this.location);
    }
    return {
      name,
      file: async file => {
        const bytes = files.get(file);
        return bytes === undefined ? null : bytesSource(bytes, `${name}/${file}`);
      },
    };
  }

  async remove(name: string): Promise<void> {
    this.#checkpoints.delete(name);
  }
}
