import { type ExpressionRule, expressionRule, requireInteger, requireKnownKeys, requireNumber } from '@frugaljs/core';
import { adaptiveDirection, biasCorrections, clampedToFinite, movingAverage } from './moments.js';

export interface FoamOptions {
  /** l: groups of 2ˡ neighbors along the last axis share both moments, from 0 (plain AdamW) to 24. Default 1. */
  readonly level?: number;
  /** Decay of the first moment, in [0, 1). Default 0.9. */
  readonly beta1?: number;
  /** Decay of the second moment, in [0, 1). Default 0.999. */
  readonly beta2?: number;
  /** Added to the denominator, before bias correction, at least 0. Default 1e-8. */
  readonly epsilon?: number;
  /** s: how much of what a group's mean misses enters the step, at least 0. Default 1. */
  readonly residualScale?: number;
}

/**
 * FOAM: AdamW whose moments are averages over groups of 2ˡ neighbors along the last axis. What the mean of a group misses
 * of the gradient enters the step as it is, with its square in the denominator:
 *
 *     F = mean over the group of g,   F₂ = mean over the group of g²,   R = g - F,
 *     m ← β₁ m + (1 - β₁) F,   v ← β₂ v + (1 - β₂) F₂,
 *     d = √(1 - β₂ᵗ) / (1 - β₁ᵗ) · (m + s R) / (√(v + s² R²) + ε)
 *
 * where m, v and F stand for every entry of their group. Groups do not cross rows; the last one of a row may have fewer
 * entries, and what it lacks counts as 0 in both means. The factor α of the paper is `lrScale` of a group of `compose`.
 *
 * Any shape. State: `m` and `v` per group, 8 bytes per group. With `level: 0` this is AdamW with `beforeCorrection`.
 *
 * @throws InvalidOptionError for an unknown option or a value outside its interval.
 * @see FOAM: Blocked State Folding for Memory-Efficient LLM Training, arXiv 2512.07112, and its code.
 */
export function foam(options: FoamOptions = {}): ExpressionRule<'m' | 'v'> {
  requireKnownKeys('foam', options, ['level', 'beta1', 'beta2', 'epsilon', 'residualScale']);
  const { level = 1, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, residualScale = 1 } = options;
  requireInteger('foam.level', level, 0);
  requireNumber('foam.level', level, '[0, 24]');
  requireNumber('foam.beta1', beta1, '[0, 1)');
  requireNumber('foam.beta2', beta2, '[0, 1)');
  requireNumber('foam.epsilon', epsilon, '[0, Infinity)');
  requireNumber('foam.residualScale', residualScale, '[0, Infinity)');
  const group = { block: 2 ** level };
  return expressionRule({
    kind: 'foam',
    options: { level, beta1, beta2, epsilon, residualScale },
    state: () => ({ m: { extent: group }, v: { extent: group, degree: 2 } }),
    scalars: t => biasCorrections(t, beta1, beta2),
    step: ({ g, m, v, correction1, correction2 }) => {
      // Each share by itself, so that the sum of the largest numbers is no infinity.
      const folded = g.mul(1 / group.block).sum(group);
      const nextM = movingAverage(m, folded, beta1);
      const nextV = movingAverage(v, g.square().mean(group), beta2);
      const scale = correction1.div(correction2);
      if (level === 0 || residualScale === 0) {
        return { direction: adaptiveDirection(nextM, scale, nextV.sqrt(), epsilon), m: nextM, v: nextV };
      }
      const residual = g.sub(folded).mul(residualScale);
      const root = nextV.add(residual.square()).sqrt();
      // The difference of two large numbers may be infinite, times the reciprocal of its square NaN: with that alone, which
      // is 0, the entry stays.
      const direction = adaptiveDirection(clampedToFinite(nextM.add(residual)), scale, root, epsilon);
      return { direction, m: nextM, v: nextV };
    },
  });
}
