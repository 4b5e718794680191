import {
  type ExpressionRule,
  expressionRule,
  type RuleOutputs,
  requireKnownKeys,
  requireNumber,
  requireOneOf,
  select,
} from '@frugaljs/core';
import { adaptiveDirection, biasCorrections, factoredRoot, movingAverage, SMALLEST_NORMAL } from './moments.js';

export interface FactoredAdamWOptions {
  /** Decay of the first moment, in [0, 1). Default 0.9. */
  readonly beta1?: number;
  /** Decay of the second moment, in [0, 1). Default 0.999. */
  readonly beta2?: number;
  /** Added to the denominator, at least 0. Default 1e-8. */
  readonly epsilon?: number;
  /** What is squared: the gradient (Zhao et al.) or the new first moment (AdaMeM). Default `gradient`. */
  readonly secondMomentOf?: 'gradient' | 'momentum';
}

/**
 * AdamW whose second moment is a rank-one estimate, called "Adafactor with momentum" where it is used:
 *
 *     m ← β₁ m + (1 - β₁) g
 *     r ← β₂ r + (1 - β₂) row means of g²,   c ← β₂ c + (1 - β₂) column means of g²,   V̂ = r cᵀ / mean(r)
 *     d = m / (1 - β₁ᵗ) / (√V̂ / √(1 - β₂ᵗ) + ε)
 *
 * It has Adam's constants and bias corrections and neither the clipping nor the step size rules of `adafactor`.
 * When |g| has rank one in every step, V̂ is exact and d is AdamW's.
 *
 * State: `m` per element and, from rank 2 on, `r` per row and `c` per column: 4 (size + rows + columns) bytes. Tensors
 * of rank above 2 are taken as matrices with the last axis as columns (the code of Zhao et al. keeps one marginal per
 * axis). Vectors and scalars keep a full `v`, 8 bytes per element, and step as AdamW does.
 *
 * @throws InvalidOptionError for an unknown option or a value outside its interval.
 * @see Zhao et al., arXiv 2407.07972 (Adafactor with momentum); Vyas et al., AdaMeM, 2024; Shazeer and
 *   Stern, Adafactor, arXiv 1804.04235, section 3 (the factored moment).
 */
export function factoredAdamW(options: FactoredAdamWOptions = {}): ExpressionRule {
  requireKnownKeys('factoredAdamW', options, ['beta1', 'beta2', 'epsilon', 'secondMomentOf']);
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, secondMomentOf = 'gradient' } = options;
  requireNumber('factoredAdamW.beta1', beta1, '[0, 1)');
  requireNumber('factoredAdamW.beta2', beta2, '[0, 1)');
  requireNumber('factoredAdamW.epsilon', epsilon, '[0, Infinity)');
  requireOneOf('factoredAdamW.secondMomentOf', secondMomentOf, ['gradient', 'momentum']);
  return expressionRule<string, 'correction1' | 'correction2'>({
    kind: 'factoredAdamW',
    options: { beta1, beta2, epsilon, secondMomentOf },
    state: shape => ({
      m: { extent: 'element' },
      ...(shape.length >= 2
        ? { r: { extent: 'row', degree: 2 }, c: { extent: 'column', degree: 2 } }
        : { v: { extent: 'element', degree: 2 } }),
    }),
    scalars: t => biasCorrections(t, beta1, beta2),
    step: (x, shape): RuleOutputs<string> => {
      const { g, correction1, correction2 } = x;
      const m = movingAverage(x['m']!, g, beta1);
      const squares = (secondMomentOf === 'gradient' ? g : m).square();
      if (shape.length < 2) {
        const v = movingAverage(x['v']!, squares, beta2);
        return { direction: adaptiveDirection(m, correction1, v.sqrt().mul(correction2), epsilon), m, v };
      }
      const r = movingAverage(x['r']!, squares.mean('row'), beta2);
      const c = movingAverage(x['c']!, squares.mean('column'), beta2);
      const { row, column } = factoredRoot(r, c);
      const product = row.mul(correction2).mul(column);
      // Without ε the reciprocal of a subnormal root would be infinite, and 0 · ∞ is not a step.
      const root = epsilon === 0 ? select(product.less(SMALLEST_NORMAL), 0, product) : product;
      const direction = adaptiveDirection(m, correction1, root, epsilon);
      return { direction, m, r, c };
    },
  });
}
