import { add, div, keep, type Tensor, type Variable } from '@tensorflow/tfjs-core';
import type { VariableGradient } from './gradients.js';

/**
 * Sums gradients until there are enough for one update, then hands out their mean. Signs and norms are taken of the
 * mean, never of a single gradient (algorithms P8). A variable without a gradient in one round contributes zero to it.
 */
export class GradientAccumulator {
  /** Rounds summed since the last update. */
  count = 0;
  private readonly sums = new Map<string, Tensor>();
  private readonly variables = new Map<string, Variable>();

  constructor(private readonly every: number) {}

  /** Adds one round. */
  add(gradients: readonly VariableGradient[]): void {
    for (const { name, variable, gradient } of gradients) {
      this.set(name, this.sums.has(name) ? add(this.sums.get(name)!, gradient) : gradient.clone());
      this.variables.set(name, variable);
    }
    this.count += 1;
  }

  /** True when the mean is due. */
  complete(): boolean {
    return this.count >= this.every;
  }

  /** The means, which the caller disposes. Starts again from nothing. */
  take(): VariableGradient[] {
    const means = [...this.sums].map(([name, sum]) => {
      return { name, variable: this.variables.get(name)!, gradient: keep(div(sum, this.every)) };
    });
    this.reset();
    return means;
  }

  /** Sums by variable name; they stay the accumulator's own. */
  save(): ReadonlyMap<string, Tensor> {
    return this.sums;
  }

  /** Continues from a saved sum; copies it. */
  restore(variable: Variable, sum: Tensor): void {
    this.set(variable.name, sum.clone());
    this.variables.set(variable.name, variable);
  }

  reset(): void {
    for (const sum of this.sums.values()) sum.dispose();
    this.sums.clear();
    this.variables.clear();
    this.count = 0;
  }

  private set(name: string, sum: Tensor): void {
    this.sums.get(name)?.dispose();
    this.sums.set(name, keep(sum));
  }
}
