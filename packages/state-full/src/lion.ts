import { type ExpressionRule, expressionRule, requireKnownKeys, requireNumber } from '@frugaljs/core';
import { movingAverage } from './moments.js';

export interface LionOptions {
  /** Weight of the momentum in the direction, in [0, 1). Default 0.9. With 0 the rule is signSGD. */
  readonly beta1?: number;
  /** Decay of the momentum, in [0, 1). Default 0.99. Equal to `beta1`: Signum. */
  readonly beta2?: number;
}

/**
 * Lion (evolved sign momentum), without its weight decay, which the optimizer applies:
 *
 *     d = sign(β₁ m + (1 - β₁) g),   then   m ← β₂ m + (1 - β₂) g
 *
 * Every entry of d is -1, 0 or 1. Any shape. State: `m` per element, 4 bytes per element. No ε, no bias correction.
 * The usual learning rate is 3 to 10 times smaller than AdamW's.
 *
 * @throws InvalidOptionError for an unknown option or a value outside its interval.
 * @see Chen et al., Symbolic Discovery of Optimization Algorithms, arXiv 2302.06675, Algorithm 2.
 */
export function lion(options: LionOptions = {}): ExpressionRule<'m'> {
  requireKnownKeys('lion', options, ['beta1', 'beta2']);
  const { beta1 = 0.9, beta2 = 0.99 } = options;
  requireNumber('lion.beta1', beta1, '[0, 1)');
  requireNumber('lion.beta2', beta2, '[0, 1)');
  return expressionRule({
    kind: 'lion',
    options: { beta1, beta2 },
    state: () => ({ m: { extent: 'element' } }),
    step: ({ g, m }) => ({
      direction: movingAverage(m, g, beta1).sign(),
      m: movingAverage(m, g, beta2),
    }),
  });
}
