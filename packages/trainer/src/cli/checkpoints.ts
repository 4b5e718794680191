import { existsSync, mkdirSync } from 'node:fs';
import { basename, join, relative, resolve } from 'node:path';
import {
  type CheckpointDraft,
  CheckpointMismatchError,
  type CheckpointStore,
  Checkpoints,
  type Crc32,
  InvalidCheckpointError,
  type Lease,
  MemoryStore,
  type SavedCheckpoint,
  type StoredCheckpoint,
} from '@frugaljs/checkpoint';
import { FolderStore, locateCheckpoints } from '@frugaljs/checkpoint/node';
import { InvalidOptionError } from '@frugaljs/core';
import { isOfTheLearningRate, sameRates, scheduleOf } from '../durable/resume.js';
import type { DurableOptions, DurableResult } from '../durable/train-durably.js';
import { shellWord } from '../terminal/text.js';
import type { TrainingRequest } from './train-command.js';

/** Where a run saves, and what it goes on from. */
export interface RunCheckpoints {
  /** The folder, as the user would write it; null if checkpoints are not saved on the way. */
  readonly folder: string | null;
  readonly saved: SavedCheckpoint | null;
  /** That of the folder. */
  readonly store: FolderStore | null;
  /** Of a folder that was there: what is read of it must be the latest when the run goes on from it. */
  readonly lease: Lease | null;
}

/**
 * Finds the checkpoint behind `--resume` and the folder behind `--save`.
 *
 * @param onWarning Receives a line about each checkpoint that is passed over.
 * @throws InvalidOptionError if there is nothing to go on from, or if a new run would mix with the checkpoints of
 *   another; InvalidCheckpointError if everything there was altered; CheckpointHeldError if another run saves there now.
 */
export async function openCheckpoints(
  { save, resume }: Pick<TrainingRequest, 'save' | 'resume'>,
  onWarning: (line: string) => void,
): Promise<RunCheckpoints> {
  const folder = typeof save === 'string' ? save : null;
  if (resume === undefined) {
    const store = folder === null ? null : new FolderStore(folder);
    if (store !== null) await requireEmpty(store, folder!);
    return { folder, saved: null, store, lease: null };
  }
  if (resume === 'auto') {
    if (folder === null) {
      throw new InvalidOptionError({
        parameter: 'resume',
        found: 'auto without --save',
        expected: 'a folder to look in',
        advice: 'Give --save FOLDER, or --resume FOLDER.',
      });
    }
    const store = new FolderStore(folder);
    return claiming(store, onWarning, async () => ({ folder, saved: await latestIn(store, onWarning), store }));
  }
  const { store: from, name } = locateCheckpoints(resume);
  const own = folder ?? (name === null ? resume : join(resume, '..'));
  const open = async (): Promise<SavedCheckpoint> => {
    const saved =
      name === null ? await latestIn(from, onWarning) : await new Checkpoints({ store: from, onWarning }).open(name);
    if (saved !== null) return saved;
    throw new InvalidOptionError({
      parameter: 'resume',
      found: `no checkpoint in ${resume}`,
      expected: 'at least one',
      ...(existsSync(join(resume, 'config.json')) && {
        advice: 'To start from the weights of a model, use --weights.',
      }),
    });
  };
  // Who only reads takes nothing from anybody.
  if (save === false) return { folder: null, saved: await open(), store: null, lease: null };
  if (resolve(own) === from.location) {
    return claiming(from, onWarning, async () => ({ folder: own, saved: await open(), store: from }));
  }
  // Into another folder only if that is empty: it would otherwise hold two runs.
  const store = new FolderStore(own);
  await requireEmpty(store, own);
  return { folder: own, saved: await open(), store, lease: null };
}

/** Takes a folder, if it is there, before it is read, and lets it go if that fails. */
async function claiming(
  store: FolderStore,
  onWarning: (line: string) => void,
  read: () => Promise<Omit<RunCheckpoints, 'lease'>>,
): Promise<RunCheckpoints> {
  const lease = existsSync(store.location) ? await store.acquire(onWarning) : null;
  try {
    return { ...(await read()), lease };
  } catch (error) {
    await lease?.release();
    throw error;
  }
}

/** A path as short as it can be written from here. */
function shownPath(path: string): string {
  const short = relative('.', path);
  return short === '' || short.startsWith('..') ? path : short;
}

async function latestIn(store: CheckpointStore, onWarning: (line: string) => void): Promise<SavedCheckpoint | null> {
  const latest = await new Checkpoints({ store, onWarning }).latest();
  const found = latest === null ? await store.list() : [];
  if (found.length === 0) return latest;
  throw new InvalidCheckpointError({
    parameter: store.location,
    found: `${found.length} checkpoint${found.length === 1 ? '' : 's'}, none of which can be read`,
    expected: 'an intact one',
    advice: 'To start anew, save into another folder.',
  });
}

async function requireEmpty(store: CheckpointStore, folder: string): Promise<void> {
  const found = await store.list();
  if (found.length === 0) return;
  throw new InvalidOptionError({
    parameter: 'save',
    found: `${folder} with ${found.length} checkpoint${found.length === 1 ? '' : 's'} of another run`,
    expected: 'a folder without checkpoints',
    advice: 'Go on with that run (--resume auto), or save into another folder.',
  });
}

/** Where a run of the command saves, and what it says about it. */
export class RunStore {
  readonly checkpoints: Checkpoints;
  readonly saves: NonNullable<DurableOptions<never>['saves']>;
  /** Given by the user; else null. */
  readonly folder: string | null;
  /** Where a run without a folder is saved if it is interrupted. */
  readonly #fresh = new FreshFolderStore();
  readonly #flags: Readonly<Record<string, string | undefined>>;
  readonly #opened: RunCheckpoints;

  /**
   * @param opened Without a folder to save in on the way: only if the run is interrupted, into one that is not there yet.
   * @throws InvalidOptionError for a rollback without a folder.
   */
  constructor(request: TrainingRequest, opened: RunCheckpoints, onWarning: (line: string) => void) {
    const { folder } = opened;
    const { save, keepLast, keepBest, rollback, log, json } = request;
    if (rollback !== undefined && folder === null) {
      throw new InvalidOptionError({
        parameter: 'rollback',
        found: 'no folder of checkpoints',
        expected: 'checkpoints to go back to',
        advice: 'Give --save FOLDER too.',
      });
    }
    this.saves = folder !== null ? 'on-the-way' : save === false ? 'never' : 'when-interrupted';
    this.folder = folder;
    this.#opened = opened;
    const store = opened.store ?? (save === false ? new MemoryStore() : this.#fresh);
    this.checkpoints = new Checkpoints({ store, keepLast, keepBest, onWarning });
    this.#flags = { '--log': log, '--json': json };
  }

  /** @throws CheckpointStorageError if checkpoints cannot be written where they are going to be, or another run is. */
  async prepare(): Promise<void> {
    if (this.saves !== 'on-the-way') return;
    try {
      await this.checkpoints.prepare();
    } catch (error) {
      await this.release();
      throw error;
    }
  }

  /** Lets the next run have the folder. */
  async release(): Promise<void> {
    await this.checkpoints.release();
    await this.#opened.lease?.release();
  }

  /** Where the run ended up, and how to go on with one that was interrupted. */
  whereabouts({ checkpoint, interrupted }: DurableResult): string {
    const folder = this.folder ?? this.#fresh.folder;
    if (folder === null || checkpoint === null) return '';
    const where = `Saved in ${shownPath(join(folder, checkpoint))}.`;
    return interrupted ? `${where} To go on:\n  ${this.#command(folder)}\n` : `${where}\n`;
  }

  /** How to go on after an error; null if nothing was saved. */
  async rescue(): Promise<string | null> {
    if (this.saves !== 'on-the-way') return null;
    await this.checkpoints.settled().catch(() => {});
    const latest = await this.checkpoints.latest().catch(() => null);
    if (latest === null) return null;
    return `The last checkpoint is that of step ${latest.step}. To go on from it:\n  ${this.#command(this.folder!)}`;
  }

  /** The command that goes on with the run, to be pasted into a shell where this one was started. */
  #command(folder: string): string {
    const flags = Object.entries(this.#flags).flatMap(([flag, value]) => (value === undefined ? [] : [flag, value]));
    return [...commandName(), 'train', '--resume', shownPath(folder), ...flags].map(shellWord).join(' ');
  }
}

/** How the command was started, as npm tells. */
function commandName(): string[] {
  const { npm_command: command, npm_lifecycle_event: script } = process.env;
  if (script === 'frugal') return ['npm', 'run', 'frugal', '--'];
  return command === 'exec' ? ['npx', 'frugal'] : ['frugal'];
}

/** What a run that is to go on with other options asks for. */
export interface ChangedRun {
  readonly saved: SavedCheckpoint;
  /** The composition as JSON. */
  readonly composition: object;
  readonly steps: number;
  /** Whether `--schedule` or `--lr` are on the command line. */
  readonly namesRate: boolean;
}

const PARTIAL = 'With --resume-partial it goes on with what fits, and says what that is.';

/**
 * Says what to type where a checkpoint does not fit. Where nothing but the learning rate differs, it is most often because
 * there are to be more steps: then it says which rates that would give.
 */
export function explainedMismatch(error: unknown, changed: ChangedRun): unknown {
  if (!(error instanceof CheckpointMismatchError)) return error;
  error.message = [error.message, ...(rateLines(error, changed) ?? [PARTIAL])].join('\n');
  return error;
}

function rateLines({ differences }: CheckpointMismatchError, changed: ChangedRun): string[] | null {
  const { saved, composition, steps, namesRate } = changed;
  if (!differences.every(({ path }) => isOfTheLearningRate(path))) return null;
  const before = scheduleOf(saved.manifest.optimizer?.composition);
  const now = scheduleOf(composition);
  if (before === null || now === null || saved.step === 0) return null;
  const same = sameRates(before, now, saved.step);
  const last = shown(before.at(saved.step - 1));
  const lines = [
    `With these options the learning rate would have been another one from step ${same + 1} on, and ${saved.step} steps are made.`,
    `To go on all the same, add to the command`,
    `  --resume-partial`,
    `    for the rate of a run of ${steps} steps from here on: ${shown(now.at(saved.step))} at step ${saved.step + 1}, after ${last}`,
  ];
  if (!namesRate) {
    lines.push(`  --resume-partial --schedule constant --lr ${last}`, `    for the rate that it has come to`);
  }
  return lines;
}

function shown(rate: number): string {
  return String(Number(rate.toPrecision(3)));
}

const NAME = 'frugal-run';

/**
 * Checkpoints of a run that was not told where to save: a folder of its own, `frugal-run`, `frugal-run-2` …, which is
 * chosen and made when the first one is saved. Chosen before, it would be that of every run that was started in the
 * same place, and when a closed terminal ends them all, one would be saved and the others refused.
 */
class FreshFolderStore implements CheckpointStore {
  #chosen: FolderStore | null = null;

  /** As the user would write it; null until something is saved. */
  get folder(): string | null {
    return this.#chosen === null ? null : basename(this.#chosen.location);
  }

  get location(): string {
    return this.#chosen?.location ?? NAME;
  }

  get crc32(): Crc32 {
    return this.#store.crc32;
  }

  async prepare(): Promise<void> {
    await this.#store.prepare();
  }

  async acquire(onWait: (line: string) => void): Promise<Lease> {
    return this.#store.acquire(onWait);
  }

  async list(): Promise<readonly string[]> {
    return this.#chosen === null ? [] : this.#chosen.list();
  }

  async begin(): Promise<CheckpointDraft> {
    return this.#store.begin();
  }

  async open(name: string): Promise<StoredCheckpoint> {
    return this.#store.open(name);
  }

  async remove(name: string): Promise<void> {
    await this.#store.remove(name);
  }

  get #store(): FolderStore {
    this.#chosen ??= new FolderStore(freshFolder());
    return this.#chosen;
  }
}

/** Makes a folder that was not there: of several runs that do so at once, each gets one of its own. */
function freshFolder(): string {
  for (let i = 1; ; i++) {
    const name = i === 1 ? NAME : `${NAME}-${i}`;
    try {
      mkdirSync(name);
      return name;
    } catch (error) {
      // What else is wrong there, the store says when it saves.
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') return name;
    }
  }
}
