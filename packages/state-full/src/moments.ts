import { select, type Value } from '@frugaljs/core';

// What rules that average gradients and their squares have in common: the averages, the numbers that make up for their
// start at 0, and the quotient of the two.
//
// Squares of entries above 1.8e19 are infinite in float32. An average that met one stays infinite, and with it in the
// denominator an entry takes no step: where nothing is known of its size, none is better than one of 1e19. What would be
// ∞ - ∞, ∞ / ∞ or 0 · ∞, and so NaN, is spelled out below.

/** The largest number of float32. */
const LARGEST: number = 2 ** 128 - 2 ** 104;

/** The smallest number of float32 that has all its digits, and that GPUs do not take for 0. */
export const SMALLEST_NORMAL: number = 2 ** -126;

/** `value`, or the overflowed number itself where that has come to be infinite (or NaN). */
export function unlessOverflowed(overflowed: Value, value: Value): Value {
  return select(overflowed.lessEqual(LARGEST), value, overflowed);
}

/** `value`, or the largest number of its sign where it is infinite. */
export function clampedToFinite(value: Value): Value {
  return value.minimum(LARGEST).maximum(-LARGEST);
}

/** Exponential moving average: β · previous + (1 - β) · next, which for β = 0 forgets an infinite previous one. */
export function movingAverage(previous: Value, next: Value, beta: number): Value {
  if (beta === 0) return next.mul(1);
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
 * When an entry of R or C is infinite, nothing is known of any entry of V̂, and all are.
 */
export function factoredRoot(r: Value, c: Value): { readonly row: Value; readonly column: Value } {
  // Roots first: a row without gradient has R = ε₁, and R / mean R would be a subnormal number, which GPUs take for 0.
  const mean = r.mean();
  const total = mean.add(c.mean());
  return {
    row: unlessOverflowed(total, r.sqrt().divNoNan(mean.sqrt())),
    column: unlessOverflowed(total, c.sqrt()),
  };
}
