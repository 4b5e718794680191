import {
  type ExpressionRule,
  expressionRule,
  requireBoolean,
  requireKnownKeys,
  requireNumber,
  type SlotSpec,
  select,
  type Value,
} from '@frugaljs/core';
import { movingAverage, unlessOverflowed } from './moments.js';

export interface RmspropOptions {
  /** Decay of the second moment, in [0, 1). Default 0.99. */
  readonly alpha?: number;
  /** Added to the root, at least 0. Default 1e-8. With 0, entries that never had a gradient do not move. */
  readonly epsilon?: number;
  /** μ of the momentum on the scaled gradient, in [0, 1). Default 0: none. */
  readonly momentum?: number;
  /** Divide by the standard deviation instead of the root mean square. Default false. */
  readonly centered?: boolean;
  /** Make up for averages that start at 0: v / (1 - αᵗ) and a / (1 - αᵗ) in the place of v and a. Default false. */
  readonly biasCorrection?: boolean;
}

/**
 * RMSprop in PyTorch's form, with ε outside the root and, by default, no bias correction:
 *
 *     v ← α v + (1 - α) g²,   x = g / (√v + ε)
 *     centered:  a ← α a + (1 - α) g,   x = g / (√max(0, v - a²) + ε)
 *     d = x,   or with momentum: m ← μ m + x,  d = m
 *
 * Any shape. State per element: `v`, with `centered` also `a`, with momentum also `m`: 4 to 12 bytes. The first step
 * is 1 / √(1 - α) = 10 times the sign of g by default.
 *
 * @throws InvalidOptionError for an unknown option or a value outside its interval.
 * @see Tieleman and Hinton, Lecture 6.5 of Neural Networks for Machine Learning, 2012; Graves, Generating Sequences
 *   With Recurrent Neural Networks, arXiv 1308.0850, equations 38 to 41 (centered).
 */
export function rmsprop(options: RmspropOptions = {}): ExpressionRule {
  requireKnownKeys('rmsprop', options, ['alpha', 'epsilon', 'momentum', 'centered', 'biasCorrection']);
  const { alpha = 0.99, epsilon = 1e-8, momentum = 0, centered = false, biasCorrection = false } = options;
  requireNumber('rmsprop.alpha', alpha, '[0, 1)');
  requireNumber('rmsprop.epsilon', epsilon, '[0, Infinity)');
  requireNumber('rmsprop.momentum', momentum, '[0, 1)');
  requireBoolean('rmsprop.centered', centered);
  requireBoolean('rmsprop.biasCorrection', biasCorrection);
  return expressionRule({
    kind: 'rmsprop',
    options: { alpha, epsilon, momentum, centered, ...(biasCorrection ? { biasCorrection } : {}) },
    state: (): Record<string, SlotSpec> => ({
      v: { extent: 'element', degree: 2 },
      ...(centered ? { a: { extent: 'element' } } : {}),
      ...(momentum > 0 ? { m: { extent: 'element' } } : {}),
    }),
    ...(biasCorrection ? { scalars: (t: number) => ({ correction: 1 / (1 - alpha ** t) }) } : {}),
    step: x => {
      const corrected = (average: Value): Value => (biasCorrection ? average.mul(x['correction']!) : average);
      const v = movingAverage(x['v']!, x.g.square(), alpha);
      const next: Record<string, Value> = { v };
      let variance = corrected(v);
      if (centered) {
        next['a'] = movingAverage(x['a']!, x.g, alpha);
        const difference = variance.sub(corrected(next['a']).square());
        // Rounding may leave it below 0. A comparison, not a maximum, so that NaN stays NaN on every backend.
        variance = unlessOverflowed(v, select(difference.less(0), 0, difference));
      }
      const root = variance.sqrt();
      const scaled = epsilon === 0 ? x.g.divNoNan(root) : x.g.div(root.add(epsilon));
      if (momentum === 0) return { direction: scaled, ...next };
      const m = x['m']!.mul(momentum).add(scaled);
      return { direction: m, ...next, m };
    },
  });
}
