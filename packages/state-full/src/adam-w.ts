import {
  type ExpressionRule,
  expressionRule,
  requireBoolean,
  requireKnownKeys,
  requireNumber,
  requireOneOf,
} from '@frugaljs/core';
import { adaptiveDirection, biasCorrections, movingAverage } from './moments.js';

/**
 * Where ε enters the denominator of Adam. `afterCorrection`: √v̂ + ε (PyTorch, FRUGAL, LDAdam, bitsandbytes).
 * `beforeCorrection`: √v + ε, corrected as a whole, so that ε acts as ε / √(1 - β₂ᵗ), 31.6 ε in the first step with the
 * default β₂ (GaLore, Fira, APOLLO, the former AdamW of Hugging Face; their ε is 1e-6).
 */
export type EpsilonPlacement = 'afterCorrection' | 'beforeCorrection';

export interface AdamWOptions {
  /** Decay of the first moment, in [0, 1). Default 0.9. */
  readonly beta1?: number;
  /** Decay of the second moment, in [0, 1). Default 0.999. */
  readonly beta2?: number;
  /** Added to the denominator, at least 0. Default 1e-8. With 0, entries that never had a gradient do not move. */
  readonly epsilon?: number;
  /** Make up for moments that start at 0. Default true. */
  readonly biasCorrection?: boolean;
  /** Default `afterCorrection`. */
  readonly epsilonPlacement?: EpsilonPlacement;
}

/**
 * AdamW without its weight decay, which the optimizer applies: W ← W(1 - ηλ) - η d with
 *
 *     m ← β₁ m + (1 - β₁) g,   v ← β₂ v + (1 - β₂) g²,
 *     d = m / (1 - β₁ᵗ) / (√v / √(1 - β₂ᵗ) + ε)
 *
 * and `beforeCorrection`: d = √(1 - β₂ᵗ) / (1 - β₁ᵗ) · m / (√v + ε).
 *
 * Any shape. State: `m` and `v` per element, 8 bytes per element. Step t counts from 1 and again from 1 after a reset.
 * First step: |d| ≤ 1, the sign of g when |g| ≫ ε. With ε = 0, d does not change when every gradient is multiplied by
 * the same positive number.
 *
 * @throws InvalidOptionError for an unknown option or a value outside its interval.
 * @see Loshchilov and Hutter, Decoupled Weight Decay Regularization, arXiv 1711.05101, Algorithm 2; Kingma and Ba, Adam,
 *   arXiv 1412.6980, Algorithm 1.
 */
export function adamW(options: AdamWOptions = {}): ExpressionRule<'m' | 'v'> {
  requireKnownKeys('adamW', options, ['beta1', 'beta2', 'epsilon', 'biasCorrection', 'epsilonPlacement']);
  const {
    beta1 = 0.9,
    beta2 = 0.999,
    epsilon = 1e-8,
    biasCorrection = true,
    epsilonPlacement = 'afterCorrection',
  } = options;
  requireNumber('adamW.beta1', beta1, '[0, 1)');
  requireNumber('adamW.beta2', beta2, '[0, 1)');
  requireNumber('adamW.epsilon', epsilon, '[0, Infinity)');
  requireBoolean('adamW.biasCorrection', biasCorrection);
  requireOneOf('adamW.epsilonPlacement', epsilonPlacement, ['afterCorrection', 'beforeCorrection']);
  return expressionRule({
    kind: 'adamW',
    options: { beta1, beta2, epsilon, biasCorrection, epsilonPlacement },
    state: () => ({ m: { extent: 'element' }, v: { extent: 'element', degree: 2 } }),
    scalars: t => (biasCorrection ? biasCorrections(t, beta1, beta2) : { correction1: 1, correction2: 1 }),
    step: ({ g, m, v, correction1, correction2 }) => {
      const nextM = movingAverage(m, g, beta1);
      const nextV = movingAverage(v, g.square(), beta2);
      const root = nextV.sqrt();
      const direction =
        epsilonPlacement === 'afterCorrection'
          ? adaptiveDirection(nextM, correction1, root.mul(correction2), epsilon)
          : adaptiveDirection(nextM, correction1.div(correction2), root, epsilon);
      return { direction, m: nextM, v: nextV };
    },
  });
}
