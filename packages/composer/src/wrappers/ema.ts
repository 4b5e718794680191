import { type Rule, requireKnownKeys, requireNumber, wrapRule } from '@frugaljs/core';

export interface EmaOptions {
  /** Default 0.9. */
  readonly beta?: number;
}

/**
 * Replaces the direction of a rule by its average over the steps:
 *
 *     a ← β a + (1 - β) d,   d ← a / (1 - βᵗ)
 *
 * State: one number per element. With `sgd()` inside this is momentum with correction of bias.
 *
 * @throws InvalidOptionError for what is no rule, an unknown option or a value out of range.
 */
export function ema<R extends Rule>(rule: R, options: EmaOptions = {}): R {
  requireKnownKeys('ema', options, ['beta']);
  const { beta = 0.9 } = options;
  requireNumber('ema.beta', beta, '[0, 1)');
  return wrapRule<'average', 'correction'>(rule, {
    kind: 'ema',
    options: { beta },
    state: () => ({ average: { extent: 'element' } }),
    scalars: t => ({ correction: 1 / (1 - beta ** t) }),
    step: ({ direction, average, correction }) => {
      const next = average.mul(beta).add(direction.mul(1 - beta));
      return { direction: next.mul(correction), average: next };
    },
  }) as R;
}
