import { type Rule, requireKnownKeys, requireNumber, wrapRule } from '@frugaljs/core';

export interface BiasCorrectedOptions {
  /** Default 0.9. */
  readonly beta1?: number;
  /** Default 0.999. */
  readonly beta2?: number;
}

/**
 * Adam's correction of bias, on the direction of a whole composition:
 *
 *     d ← d · √(1 - β₂ᵗ) / (1 - β₁ᵗ)
 *
 * with t the steps of the rule. Fira and APOLLO correct the step size, after the norms were taken and their growth was
 * limited; with `adamW({ biasCorrection: false })` inside and this around, a composition does so too. No state.
 *
 * @throws InvalidOptionError for what is no rule, an unknown option or a value out of range.
 */
export function biasCorrected<R extends Rule>(rule: R, options: BiasCorrectedOptions = {}): R {
  requireKnownKeys('biasCorrected', options, ['beta1', 'beta2']);
  const { beta1 = 0.9, beta2 = 0.999 } = options;
  requireNumber('biasCorrected.beta1', beta1, '[0, 1)');
  requireNumber('biasCorrected.beta2', beta2, '[0, 1)');
  return wrapRule<never, 'correction'>(rule, {
    kind: 'biasCorrected',
    options: { beta1, beta2 },
    scalars: t => ({ correction: Math.sqrt(1 - beta2 ** t) / (1 - beta1 ** t) }),
    step: ({ direction, correction }) => ({ direction: direction.mul(correction) }),
  }) as R;
}
