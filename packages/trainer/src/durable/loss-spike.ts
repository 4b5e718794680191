import { requireNumber } from '@frugaljs/core';

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

  /** The highest loss that is no spike; infinite until there is enough to judge by. */
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
