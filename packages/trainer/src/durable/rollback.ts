import type { Checkpoints, SavedCheckpoint } from '@frugaljs/checkpoint';
import { NonFiniteGradientError, requireInteger, requireNumber } from '@frugaljs/core';
import { DivergedError } from '../errors.js';
import type { Rollback, RunState } from './saver.js';

/** What to do about a run that goes wrong: go back, leave out the data that it went wrong on, go on. */
export interface RollbackOptions {
  /** A loss is a spike if it is so many standard deviations above its moving average. Default 6. */
  readonly deviations?: number;
  /** How often to go back before giving up, over the whole run. Default 3. */
  readonly limit?: number;
}

export const ROLLBACK_DEFAULTS: Required<RollbackOptions> = { deviations: 6, limit: 3 };

/** Ends the steps of a run: the loss of one of them is a spike. */
export class LossSpike extends Error {
  constructor(
    readonly step: number,
    readonly loss: number,
    readonly limit: number,
  ) {
    super(`a loss of ${show(loss)}, where at most ${show(limit)} was to be expected`);
  }
}

/** The step at which a run went wrong, and how; null for an error that going back does not cure. */
export function mishap(error: unknown, steps: number): { readonly step: number; readonly reason: string } | null {
  if (error instanceof LossSpike) return { step: error.step, reason: error.message };
  if (error instanceof NonFiniteGradientError)
    return { step: steps + 1, reason: `NaN or Inf in the ${error.parameter}` };
  return null;
}

/**
 * Chooses the checkpoint to go back to. The step after it must have gone well: a checkpoint is good if what was computed
 * with it was. If the run went wrong again before it saved another one, an earlier checkpoint is taken.
 *
 * @param since The last checkpoint saved when the run was last rolled back or resumed, counted as manifests do: of those
 *   before it, only the ones up to the step it went back to belong to this run.
 * @throws DivergedError if there is no such checkpoint or the limit is reached.
 */
export async function goodCheckpoint(
  checkpoints: Checkpoints,
  { step, reason }: { readonly step: number; readonly reason: string },
  before: readonly Rollback[],
  limit: number,
  since: number,
): Promise<SavedCheckpoint> {
  requireInteger('rollback.limit', limit, 0);
  const went = `step ${step} (${reason})`;
  if (before.length >= limit) {
    throw new DivergedError({
      parameter: 'training',
      found: `${went} after ${before.length} rollback${before.length === 1 ? '' : 's'}`,
      expected: `a run that goes on after at most ${limit}`,
      advice: 'Resume from an earlier checkpoint with a lower learning rate or with clipping.',
    });
  }
  const last = before.at(-1);
  const all = newest((await checkpoints.list()).filter(saved => saved.step <= Math.max(0, step - 2)));
  const least = last?.toStep ?? Number.POSITIVE_INFINITY;
  const fresh = last === undefined ? all : all.filter(({ manifest }) => manifest.sequence > since);
  const older = all.filter(saved => saved.step < least);
  const same = all.filter(saved => saved.step === least);
  for (const candidate of [...fresh, ...older, ...same]) {
    try {
      await candidate.verify();
      return candidate;
    } catch {
      // Altered or gone since; the one before it is as good.
    }
  }
  throw new DivergedError({
    parameter: 'training',
    found: `${went}, and no intact checkpoint from before it`,
    expected: 'one to go back to',
    advice: 'Save more often (--save-every) and keep more (--keep-last).',
  });
}

function newest(saved: readonly SavedCheckpoint[]): SavedCheckpoint[] {
  return [...saved].sort((a, b) => b.step - a.step || b.manifest.sequence - a.manifest.sequence);
}

/**
 * The state to go on from: that of the checkpoint, with all batches left out that came after it, those of the step that
 * went wrong included.
 *
 * @param failed The state of the run when it went wrong, before the step that did.
 */
export function rolledBack(
  good: RunState,
  failed: Pick<RunState, 'nextBatch' | 'rollbacks'>,
  { step, reason }: { readonly step: number; readonly reason: string },
  accumulate: number,
): RunState {
  const nextBatch = Math.max(good.nextBatch, failed.nextBatch + accumulate);
  const rollback: Rollback = {
    fromStep: step,
    toStep: good.step,
    skippedBatches: [good.nextBatch, nextBatch],
    reason,
  };
  return { ...good, nextBatch, rollbacks: [...failed.rollbacks, rollback] };
}

function show(loss: number): string {
  return Number.isFinite(loss) ? loss.toFixed(3) : String(loss);
}

/** Losses before which nothing is called a spike: what is usual has to be known first. */
const WARM_UP = 20;
/** About how many losses the mean and the deviation are taken over. */
const SPAN = 100;
/** A deviation smaller than this share of the mean is not believed. */
const LEAST_DEVIATION = 0.01;

/**
 * Tells a loss that explodes from one that wavers. With m and s² the exponential moving average of the losses and of their
 * squared distance from it, x is a spike if x > m + k·max(s, m/100), or not finite. Spikes do not move the average.
 */
export class LossSpikeDetector {
  readonly #deviations: number;
  #count = 0;
  #mean = 0;
  #variance = 0;

  /**
   * @param deviations k, above 0.
   * @param losses Those so far.
   */
  constructor(deviations: number, losses: readonly number[] = []) {
    this.#deviations = requireNumber('rollback.deviations', deviations, '(0, Infinity)');
    for (const loss of losses) this.isSpike(loss);
  }

  /** The highest loss that is no spike; infinite until there are losses enough to tell. */
  get limit(): number {
    if (this.#count < WARM_UP) return Number.POSITIVE_INFINITY;
    return this.#mean + this.#deviations * Math.max(Math.sqrt(this.#variance), LEAST_DEVIATION * Math.abs(this.#mean));
  }

  /** Takes the next loss. */
  isSpike(loss: number): boolean {
    if (!Number.isFinite(loss) || loss > this.limit) return true;
    this.#count++;
    // The first losses count alike; later ones by an exponential average.
    const weight = 1 / Math.min(this.#count, SPAN);
    const distance = loss - this.#mean;
    this.#mean += weight * distance;
    this.#variance = (1 - weight) * (this.#variance + weight * distance * distance);
    return false;
  }
}
