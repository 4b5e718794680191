import { expressionRule, requireKnownKeys, type StateFreeRule } from '@frugaljs/core';

/**
 * SGD: d = g. Any shape, no state, no options.
 *
 * Linear in the gradient, so a split into a subspace and its residual with SGD on both is SGD again. With momentum it
 * is `sgdm` of the state-full rules.
 *
 * @throws InvalidOptionError for any option.
 * @see Robbins and Monro, A Stochastic Approximation Method, 1951.
 */
export function sgd(options: Readonly<Record<string, never>> = {}): StateFreeRule {
  requireKnownKeys('sgd', options, []);
  return expressionRule({
    kind: 'sgd',
    options: {},
    state: () => ({}),
    step: ({ g }) => ({ direction: g }),
  });
}
