import { type ExpressionRule, expressionRule, requireKnownKeys, requireNumber, requireOneOf } from '@frugaljs/core';
import { adaptiveDirection } from './adaptive-direction.js';
import { movingAverage } from './moving-average.js';

export interface OneSidedAdafactorOptions {
  /** Decay of the second moment, in [0, 1). Default 0.999. */
  readonly beta2?: number;
  /** Added to the denominator, at least 0. Default 1e-8. */
  readonly epsilon?: number;
  /** Which side keeps its second moment. Default `row`. */
  readonly per?: 'row' | 'column';
}

/**
 * One-sided Adafactor: the gradient divided by a running root mean square of its row (or column), no momentum.
 *
 *     v ← β₂ v + (1 - β₂) mean over the row of g²,   d = g / (√v / √(1 - β₂ᵗ) + ε)
 *
 * The first d has root mean square 1 in every row. AdaMeM steps with it on the residual. Sources that keep the sum u
 * of the squares divide by √(u / n), which is the same.
 *
 * Any shape; tensors of rank above 2 have the last axis as columns, vectors are one row. State: `v` per row (column),
 * 4 bytes each: next to nothing, so it can serve where a state-free rule is wanted.
 *
 * @throws InvalidOptionError for an unknown option or a value outside its interval.
 * @see Vyas et al., AdaMeM: Memory Efficient Momentum for Adafactor, 2024.
 */
export function oneSidedAdafactor(options: OneSidedAdafactorOptions = {}): ExpressionRule<'v'> {
  requireKnownKeys('oneSidedAdafactor', options, ['beta2', 'epsilon', 'per']);
  const { beta2 = 0.999, epsilon = 1e-8, per = 'row' } = options;
  requireNumber('oneSidedAdafactor.beta2', beta2, '[0, 1)');
  requireNumber('oneSidedAdafactor.epsilon', epsilon, '[0, Infinity)');
  requireOneOf('oneSidedAdafactor.per', per, ['row', 'column']);
  return expressionRule({
    kind: 'oneSidedAdafactor',
    options: { beta2, epsilon, per },
    state: () => ({ v: { extent: per, degree: 2 } }),
    scalars: t => ({ scale: 1, correction: 1 / Math.sqrt(1 - beta2 ** t) }),
    step: ({ g, v, scale, correction }) => {
      const next = movingAverage(v, g.square().mean(per), beta2);
      return { direction: adaptiveDirection(g, scale, next.sqrt().mul(correction), epsilon), v: next };
    },
  });
}
