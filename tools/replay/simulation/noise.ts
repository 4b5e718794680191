/**
 * Watches for places where float32 cannot follow float64: a sign, or a quotient such as Adam's first step, of a number
 * that is only rounding noise beside the gradient it came from. Exact zeros are fine.
 */
export class NoiseWatch {
  /** True once a result depended on noise. */
  noisy = false;
  private scale = 0;

  /** Starts on a gradient, which sets the scale. */
  startOn(gradient: readonly number[]): void {
    this.scale = gradient.reduce((largest, x) => Math.max(largest, Math.abs(x)), 0);
  }

  sign(values: readonly number[]): number[] {
    this.requireClear(values, 1e-5);
    return values.map(Math.sign);
  }

  /** Notes values of which something like the sign will be taken. */
  requireClear(values: readonly number[], share: number): void {
    if (values.some(x => x !== 0 && Math.abs(x) < share * this.scale)) this.noisy = true;
  }

  /** Notes singular values so close, or so small, that their vectors are ill-defined. */
  requireGaps(values: readonly number[], rank: number): void {
    for (let i = 0; i < Math.min(rank, values.length - 1); i++) {
      if (values[i]! - values[i + 1]! < 0.01 * values[0]!) this.noisy = true;
    }
    if (rank >= values.length && values.at(-1)! < 0.01 * values[0]!) this.noisy = true;
  }
}
