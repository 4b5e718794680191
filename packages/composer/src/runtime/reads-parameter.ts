import type { Rule } from '@frugaljs/core';

/** True when a rule, or one within it, reads the parameter beside the gradient. */
export function readsParameter(rule: Rule | null): boolean {
  if (rule === null || rule.type === 'tensor') return false;
  if (rule.type === 'expression') return rule.readsParameter ?? false;
  return readsParameter(rule.rule) || readsParameter(rule.combine.rule);
}
