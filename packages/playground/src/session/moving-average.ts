/**
 * An exponential moving average without a bias towards 0 at its start: s_t = Σ β^(t-i) x_i / Σ β^(t-i), β = 1 - 1/span.
 */
export class MovingAverage {
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
    return this.#sum / this.#weight;
  }
}
