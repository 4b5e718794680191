import { expressionRule, requireKnownKeys, requireNumber, type StateFreeRule } from '@frugaljs/core';

export interface TemplateStateFreeRuleOptions {
  /** Largest magnitude of an entry of the direction, above 0. Default 1. */
  readonly limit?: number;
}

/**
 * The gradient with its entries cut off, the starting point of a rule without state:
 *
 *     d = min(max(g, -c), c)
 *
 * Any shape. No state.
 *
 * @throws InvalidOptionError for an unknown option or a value outside its interval.
 */
export function templateStateFreeRule(options: TemplateStateFreeRuleOptions = {}): StateFreeRule {
  requireKnownKeys('templateStateFreeRule', options, ['limit']);
  const { limit = 1 } = options;
  requireNumber('templateStateFreeRule.limit', limit, '(0, Infinity)');
  return expressionRule({
    kind: 'templateStateFreeRule',
    options: { limit },
    state: () => ({}),
    step: ({ g }) => ({ direction: g.maximum(-limit).minimum(limit) }),
  });
}
