import { CheckpointStorageError, type Checkpoints, type SavableOptimizer } from '@frugaljs/checkpoint';
import type { TrainableModel } from '../training/trainable.js';
import { type RunState, runStateToJson } from './run-state.js';

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
 * next one, and the run in memory is worth more than a complaint. The last save of a run throws.
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
        if (!(error instanceof CheckpointStorageError)) throw error;
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
      if (!(error instanceof CheckpointStorageError)) throw error;
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
