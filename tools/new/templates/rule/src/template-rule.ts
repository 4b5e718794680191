import { type ExpressionRule, expressionRule, requireKnownKeys, requireNumber } from '@frugaljs/core';

export interface TemplateRuleOptions {
  /** Decay μ of the momentum, in [0, 1). Default 0.9. */
  readonly momentum?: number;
}

/**
 * Accumulated momentum, the starting point of a rule with state:
 *
 *     m ← μ m + g,   d = m
 *
 * Any shape. State: `m` per element, 4 bytes per element.
 *
 * @throws InvalidOptionError for an unknown option or a value outside its interval.
 */
export function templateRule(options: TemplateRuleOptions = {}): ExpressionRule<'m'> {
  requireKnownKeys('templateRule', options, ['momentum']);
  const { momentum = 0.9 } = options;
  requireNumber('templateRule.momentum', momentum, '[0, 1)');
  return expressionRule({
    kind: 'templateRule',
    options: { momentum },
    state: () => ({ m: { extent: 'element' } }),
    step: ({ g, m }) => {
      const next = m.mul(momentum).add(g);
      return { direction: next, m: next };
    },
  });
}
