import { type Rule, requireNumber, wrapRule } from '@frugaljs/core';

/**
 * Multiplies the direction of a rule: d ← factor · d. No state. For a whole group, `lrScale` does the same; this is for a
 * rule inside a composition.
 *
 * @throws InvalidOptionError for what is no rule, or a factor below 0.
 */
export function scaled<R extends Rule>(rule: R, factor: number): R {
  requireNumber('scaled.factor', factor, '[0, Infinity)');
  return wrapRule(rule, {
    kind: 'scaled',
    options: { factor },
    step: ({ direction }) => ({ direction: direction.mul(factor) }),
  }) as R;
}
