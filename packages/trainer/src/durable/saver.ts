import {
  CheckpointStorageError,
  type Checkpoints,
  InvalidCheckpointError,
  type SavableOptimizer,
} from '@frugaljs/checkpoint';
import type { Json } from '@frugaljs/core';
import type { TrainableModel } from '../training/steps.js';
import type { Evaluation, RunHistory } from '../training/train.js';

/** A rollback that was made. */
export interface Rollback {
  /** The step that went wrong. */
  readonly fromStep: number;
  /** The step of the checkpoint that took its place. */
  readonly toStep: number;
  /** The batches that are left out, from the first up to, not including, the last. */
  readonly skippedBatches: readonly [from: number, to: number];
  readonly reason: string;
}

/** What a run needs to go on besides model and optimizer: a checkpoint's `trainer.json`. */
export interface RunState extends RunHistory {
  /** Updates made. */
  readonly step: number;
  /** The number of the next training batch. */
  readonly nextBatch: number;
  readonly rollbacks: readonly Rollback[];
  /** What must stay the same for the run to repeat, such as the text and the size of a batch; compared on resuming. */
  readonly identity: Json;
  /** Whatever else the caller wants back. */
  readonly settings: Json;
}

export interface SaverOptions {
  readonly checkpoints: Checkpoints;
  readonly model: Pick<TrainableModel<never>, 'parameters'>;
  readonly optimizer: SavableOptimizer;
  /** The model's `config.json`. */
  readonly config?: object;
  /** More files for every checkpoint, such as the tokenizer's. */
  readonly files?: Readonly<Record<string, string>>;
  /** Receives a line where something is not as it should be and the run goes on. */
  readonly onNotice: (line: string) => void;
}

/** A state that a checkpoint holds. */
export interface SavedState {
  readonly step: number;
  readonly name: string;
}

/**
 * Saves the states of a run. A save that fails while training goes on is a notice: the disk may have room again at the
 * next one, and the run in memory is worth more than a complaint. The last save of a run throws, and so does each where
 * another run has taken the folder over.
 */
export class RunSaver {
  readonly #options: SaverOptions;
  #last: SavedState | null;
  /** Whether the user knows that the disk does not keep up. */
  #toldBusy = false;

  /** @param from The checkpoint that the run goes on from, if it holds the run as it is now. */
  constructor(options: SaverOptions, from: SavedState | null) {
    this.#options = options;
    this.#last = from;
  }

  /** The last checkpoint that is on the disk. */
  get last(): SavedState | null {
    return this.#last;
  }

  /** Copies the state and lets it be written while training goes on. Skipped if an earlier one is still being written. */
  async saveBeside(state: RunState, metric: number | null): Promise<void> {
    const { onNotice } = this.#options;
    const left = `step ${state.step} is not saved`;
    for (const isRetry of [false, true]) {
      try {
        const saving = await this.#save(state, metric, 'skip', true);
        if (saving === null && !this.#toldBusy) {
          onNotice(`${left}, as the checkpoint before it is still being written; the same goes for later ones.`);
          this.#toldBusy = true;
        }
        if (saving !== null) this.#remember(saving.step, saving.done);
        return;
      } catch (error) {
        // A run whose folder another run has taken over trains for nobody.
        if (!(error instanceof CheckpointStorageError) || error.fault === 'held') throw error;
        // The first failure may be that of the checkpoint before, which nobody has heard of yet.
        if (isRetry) onNotice(`${left}: ${error.message}`);
        else onNotice(`A checkpoint could not be written: ${error.message}`);
      }
    }
  }

  /**
   * Saves the state and waits until it is on the disk; without a copy, as nothing goes on meanwhile.
   *
   * @returns The name of the checkpoint.
   * @throws CheckpointStorageError if it cannot be written.
   */
  async saveNow(state: RunState, metric: number | null): Promise<string> {
    await this.settle();
    const saving = (await this.#save(state, metric, 'wait', false))!;
    const name = await saving.done;
    this.#last = { step: state.step, name };
    return name;
  }

  /** Waits for what is being written; a failure is a notice. */
  async settle(): Promise<void> {
    try {
      await this.#options.checkpoints.settled();
    } catch (error) {
      if (!(error instanceof CheckpointStorageError) || error.fault === 'held') throw error;
      this.#options.onNotice(`A checkpoint could not be written: ${error.message}`);
    }
  }

  #remember(step: number, done: Promise<string>): void {
    // A failure is heard of by the next save.
    done.then(
      name => {
        this.#last = { step, name };
      },
      () => {},
    );
  }

  #save(state: RunState, metric: number | null, whileBusy: 'skip' | 'wait', copy: boolean) {
    const { checkpoints, model, optimizer, config, files } = this.#options;
    return checkpoints.save(
      {
        step: state.step,
        model: model.parameters(),
        optimizer,
        trainer: runStateToJson(state),
        metric,
        ...(config === undefined ? {} : { config }),
        ...(files === undefined ? {} : { files }),
      },
      { whileBusy, copy },
    );
  }
}

const FORMAT = 'frugaljs-run';
const VERSION = 1;

/** Losses that are kept, the latest ones: JSON of more would take longer to write than the model. */
const KEPT_LOSSES = 1_000_000;

/** A state as JSON; the step is the checkpoint's own. */
function runStateToJson({ step: _, ...state }: RunState): object {
  const { losses, ...rest } = state;
  return { format: FORMAT, version: VERSION, ...rest, losses: losses.slice(-KEPT_LOSSES) };
}

/**
 * Reads what {@link runStateToJson} wrote.
 *
 * @param name Of the checkpoint, for messages.
 * @returns Null if it was saved by something else than a training run.
 * @throws InvalidCheckpointError if it was, but in a form that this library does not read.
 */
export function runStateFromJson(json: Json, step: number, name: string): RunState | null {
  if (!isObject(json) || json['format'] !== FORMAT) return null;
  const state = json as unknown as RunState & { readonly version: unknown };
  const wrong = (part: string, found: unknown, expected: string): InvalidCheckpointError =>
    new InvalidCheckpointError({
      parameter: `${name}/trainer.json: ${part}`,
      found,
      expected,
      advice: 'It was saved by another version of this library, or altered.',
    });
  if (state.version !== VERSION) throw wrong('version', state.version, `${VERSION}`);
  if (!Number.isSafeInteger(state.nextBatch) || state.nextBatch < 0) {
    throw wrong('nextBatch', state.nextBatch, 'a non-negative integer');
  }
  if (!isList(state.losses, loss => typeof loss === 'number')) throw wrong('losses', state.losses, 'numbers');
  if (!isList(state.evaluations, isEvaluation)) throw wrong('evaluations', state.evaluations, 'steps and losses');
  if (!isList(state.rollbacks, isRollback)) throw wrong('rollbacks', state.rollbacks, 'steps and reasons');
  const { nextBatch, losses, evaluations, rollbacks, identity = null, settings = null } = state;
  return { step, nextBatch, losses, evaluations, rollbacks, identity, settings };
}

function isObject(value: unknown): value is { readonly [key: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isList(value: unknown, each: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.every(each);
}

function isEvaluation(value: unknown): value is Evaluation {
  return isObject(value) && typeof value['step'] === 'number' && typeof value['loss'] === 'number';
}

function isRollback(value: unknown): value is Rollback {
  return isObject(value) && typeof value['fromStep'] === 'number' && typeof value['toStep'] === 'number';
}
