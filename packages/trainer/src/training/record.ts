import type { Step } from './steps.js';

/** How long something took, per step. */
export interface Timing {
  /** Mean over the steps: what a run of many steps costs per step. Null before the first step. */
  readonly mean: number | null;
  /** Median over the steps: what a step costs that nothing disturbs. */
  readonly median: number | null;
}

/** What is kept of a run's steps: the losses and the times. */
export class RunRecord {
  /** Training loss of every step, in nats per token. */
  readonly losses: number[];
  readonly #steps: number[] = [];
  readonly #optimizerSteps: number[] = [];

  /** @param losses Those of the steps before, if the run goes on. */
  constructor(losses: readonly number[] = []) {
    this.losses = [...losses];
  }

  add({ loss, milliseconds, optimizerMilliseconds }: Step): void {
    this.losses.push(loss);
    this.#steps.push(milliseconds);
    this.#optimizerSteps.push(optimizerMilliseconds);
  }

  /** Milliseconds of a training step. */
  get step(): Timing {
    return timing(this.#steps);
  }

  /** Milliseconds in the optimizer, of a training step. */
  get optimizerStep(): Timing {
    return timing(this.#optimizerSteps);
  }
}

function timing(milliseconds: readonly number[]): Timing {
  if (milliseconds.length === 0) return { mean: null, median: null };
  const sorted = [...milliseconds].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return {
    mean: milliseconds.reduce((sum, each) => sum + each, 0) / milliseconds.length,
    median: (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2,
  };
}

/**
 * An exponential moving average that starts without a bias towards 0: s_t = Σ β^(t-i) x_i / Σ β^(t-i), β = 1 - 1/span.
 */
export class SmoothedLoss {
  readonly #decay: number;
  #sum = 0;
  #weight = 0;

  /** @param span About how many values count. */
  constructor(span: number) {
    this.#decay = 1 - 1 / Math.max(1, span);
  }

  /** Adds a value and returns the average. */
  add(value: number): number {
    this.#sum = this.#decay * this.#sum + value;
    this.#weight = this.#decay * this.#weight + 1;
    return this.value;
  }

  get value(): number {
    return this.#sum / this.#weight;
  }
}

/** The moving average after each of the values. */
export function smoothed(values: readonly number[], span: number): number[] {
  const average = new SmoothedLoss(span);
  return values.map(value => average.add(value));
}
