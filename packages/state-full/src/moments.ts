import type { Value } from '@frugaljs/core';

// What rules that average gradients and their squares have in common: the averages, the numbers that make up for their
// start at 0, and the quotient of the two.

/** Exponential moving average: β · previous + (1 - β) · next. */
export function movingAverage(previous: Value, next: Value, beta: number): Value {
  return previous.mul(beta).add(next.mul(1 - beta));
}

/** The two numbers by which Adam makes up for averages that start at 0. */
export interface BiasCorrections {
  /** 1 / (1 - β₁ᵗ), for m. */
  readonly correction1: number;
  /** 1 / √(1 - β₂ᵗ), for √v. */
  readonly correction2: number;
}

/** Bias corrections of step t, counted from 1. */
export function biasCorrections(t: number, beta1: number, beta2: number): BiasCorrections {
  return { correction1: 1 / (1 - beta1 ** t), correction2: 1 / Math.sqrt(1 - beta2 ** t) };
}

/**
 * scale · m / (root + ε), where `scale` is a number on the host and `root` has one value per element, row, column or
 * tensor.
 *
 * The quotient that does not depend on m comes first, so that a root with one value per row costs one division per
 * row. With ε = 0 an entry whose root is 0 does not move: 0 / 0 counts as 0, like the sign that such a step is.
 */
export function adaptiveDirection(m: Value, scale: Value, root: Value, epsilon: number): Value {
  return m.mul(epsilon === 0 ? scale.divNoNan(root) : scale.div(root.add(epsilon)));
}

/**
 * The two factors of √V̂ for the rank-one estimate V̂ = R Cᵀ / mean(R): one per row, √R / √mean R, and one per column,
 * √C. R holds the mean of each row of squares and C of each column, so mean(R) = mean(C), and V̂ is exact when V has
 * rank one. The product R Cᵀ itself is never formed: it would leave the range of float32 long before its root does.
 */
export function factoredRoot(r: Value, c: Value): { readonly row: Value; readonly column: Value } {
  // Roots first: a row without gradient has R = ε₁, and R / mean R would be a subnormal number, which GPUs take for 0.
  return { row: r.sqrt().divNoNan(r.mean().sqrt()), column: c.sqrt() };
}
