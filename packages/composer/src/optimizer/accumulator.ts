import { add, div, greater, keep, scalar, type Tensor, tidy, type Variable, where } from '@tensorflow/tfjs-core';
import { gated } from '../runtime/gate.js';
import type { VariableGradient } from './gradients.js';

/**
 * Sums gradients until there are enough for one update, then hands out their mean. Signs and norms are taken of the
 * mean, never of a single gradient. A variable without a gradient in one round contributes zero to it.
 *
 * Where rounds are judged on the device, one that is not finite adds nothing there, and the mean is that of the others.
 */
export class GradientAccumulator {
  /** Rounds summed since the last update. */
  count = 0;
  /** Rounds that are in the sums, on the device; null where every round is. */
  private good: Tensor | null = null;
  private readonly sums = new Map<string, Tensor>();
  private readonly variables = new Map<string, Variable>();

  constructor(private readonly every: number) {}

  /**
   * Adds one round.
   *
   * @param proceed One number, on the device: 0 when nothing is to be added. The round counts until {@link withdraw}.
   */
  add(gradients: readonly VariableGradient[], proceed: Tensor | null = null): void {
    tidy(() => {
      for (const { name, variable, gradient } of gradients) {
        const added = proceed === null ? gradient : gated(proceed, gradient, 0);
        this.set(name, this.sums.has(name) ? add(this.sums.get(name)!, added) : added.clone());
        this.variables.set(name, variable);
      }
      if (proceed !== null || this.good !== null) this.setGood(add(this.good ?? this.count, proceed ?? 1));
    });
    this.count += 1;
  }

  /** Takes back the count of a round that added nothing. */
  withdraw(): void {
    this.count -= 1;
  }

  /** True when the mean is due. */
  complete(): boolean {
    return this.count >= this.every;
  }

  /** The means, which the caller disposes; NaN when no round was good. Starts again from nothing. */
  take(): VariableGradient[] {
    const means = tidy(() => {
      const rounds = this.good === null ? this.every : where(greater(this.good, 0), this.good, scalar(Number.NaN));
      return [...this.sums].map(([name, sum]) => {
        return { name, variable: this.variables.get(name)!, gradient: keep(div(sum, rounds)) };
      });
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
    this.good?.dispose();
    this.good = null;
    this.count = 0;
  }

  private setGood(good: Tensor): void {
    this.good?.dispose();
    this.good = keep(good);
  }

  private set(name: string, sum: Tensor): void {
    this.sums.get(name)?.dispose();
    this.sums.set(name, keep(sum));
  }
}
