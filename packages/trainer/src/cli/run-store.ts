import { join } from 'node:path';
import { Checkpoints, MemoryStore } from '@frugaljs/checkpoint';
import { FolderStore } from '@frugaljs/checkpoint/node';
import { InvalidOptionError } from '@frugaljs/core';
import type { DurableOptions, DurableResult } from '../durable/train-durably.js';
import { continuation } from './continuation.js';
import { freshFolder, shownPath } from './open-checkpoints.js';
import type { TrainingRequest } from './training-request.js';

/** Where a run of the command saves, and what it says about it. */
export class RunStore {
  readonly checkpoints: Checkpoints;
  readonly saves: NonNullable<DurableOptions<never>['saves']>;
  readonly #folder: string | null;
  readonly #flags: Readonly<Record<string, string | undefined>>;

  /**
   * @param folder Where to save on the way; null: only if the run is interrupted, into a folder that is not there yet.
   * @throws InvalidOptionError for a rollback without a folder.
   */
  constructor(request: TrainingRequest, folder: string | null, onWarning: (line: string) => void) {
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
    this.#folder = folder ?? (save === false ? null : freshFolder());
    const store = this.#folder === null ? new MemoryStore() : new FolderStore(this.#folder);
    this.checkpoints = new Checkpoints({ store, keepLast, keepBest, onWarning });
    this.#flags = { '--log': log, '--json': json };
  }

  /** @throws CheckpointStorageError if checkpoints cannot be written where they are going to be. */
  async prepare(): Promise<void> {
    if (this.saves === 'on-the-way') await this.checkpoints.prepare();
  }

  /** Where the run ended up, and how to go on with one that was interrupted. */
  conclusion({ checkpoint, interrupted }: DurableResult): string {
    if (this.#folder === null || checkpoint === null) return '';
    const where = `Saved in ${shownPath(join(this.#folder, checkpoint))}.`;
    return interrupted ? `${where} To go on:\n  ${this.#command(this.#folder)}\n` : `${where}\n`;
  }

  /** How to go on after an error; null if nothing was saved. */
  async rescue(): Promise<string | null> {
    if (this.saves !== 'on-the-way') return null;
    await this.checkpoints.settled().catch(() => {});
    const latest = await this.checkpoints.latest().catch(() => null);
    if (latest === null) return null;
    return `The last checkpoint is that of step ${latest.step}. To go on from it:\n  ${this.#command(this.#folder!)}`;
  }

  #command(folder: string): string {
    return continuation(shownPath(folder), this.#flags);
  }
}
