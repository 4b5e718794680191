import { expressionRule, requireKnownKeys, type StateFreeRule } from '@frugaljs/core';

/**
 * signSGD: d = sign(g), entry by entry -1, 0 or 1; sign(0) = 0 and sign(NaN) = NaN.
 *
 * Any shape, no state, no options. d does not change when g is multiplied by a positive number, so clipping by a norm
 * has no effect, and gradients must be averaged over the batch before the sign is taken.
 *
 * @throws InvalidOptionError for any option.
 * @see Bernstein et al., signSGD: Compressed Optimisation for Non-Convex Problems, arXiv 1802.04434, Algorithm 1.
 */
export function signSgd(options: Readonly<Record<string, never>> = {}): StateFreeRule {
  requireKnownKeys('signSgd', options, []);
  return expressionRule({
    kind: 'signSgd',
    options: {},
    state: () => ({}),
    step: ({ g }) => ({ direction: g.sign() }),
  });
}
