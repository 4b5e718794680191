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
