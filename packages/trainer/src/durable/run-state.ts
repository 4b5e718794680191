import { InvalidCheckpointError } from '@frugaljs/checkpoint';
import type { Json } from '@frugaljs/core';
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

const FORMAT = 'frugaljs-run';
const VERSION = 1;

/** Losses that are kept, the latest ones: JSON of more would take longer to write than the model. */
const KEPT_LOSSES = 1_000_000;

/** A state as JSON; the step is the checkpoint's own. */
export function runStateToJson({ step: _, ...state }: RunState): object {
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
