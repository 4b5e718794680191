import { dispose, mul, randomNormal, type Tensor2D, tidy, type Variable, variable } from '@tensorflow/tfjs-core';

/** Square matrices to train: gradients that all methods share, and fresh variables for each method. */
export class Workload {
  readonly gradients: readonly Tensor2D[];
  private readonly initial: Tensor2D;
  private made = 0;

  constructor(
    readonly matrices: number,
    readonly size: number,
  ) {
    const shape: [number, number] = [size, size];
    this.initial = randomNormal(shape, 0, 0.02, 'float32', 1);
    const base: Tensor2D = randomNormal(shape, 0, 1, 'float32', 2);
    // Different buffers with values of a similar size; drawing all at random would take longer than measuring.
    this.gradients = Array.from({ length: matrices }, (_, i) => mul<Tensor2D>(base, i % 2 === 0 ? 1 + i : -1 - i));
    base.dispose();
  }

  /** Parameters in all matrices together. */
  get params(): number {
    return this.matrices * this.size * this.size;
  }

  /** Variables that nobody else trains; the caller disposes them. */
  variables(): Variable[] {
    this.made += 1;
    return Array.from({ length: this.matrices }, (_, i) =>
      tidy(() => variable(mul(this.initial, 1), true, `method ${this.made}/layers.${i}.weight`)),
    );
  }

  dispose(): void {
    dispose([this.initial, ...this.gradients]);
  }
}
