import type { Rule, Site } from '@frugaljs/core';
import { BoundExpression } from './bound-expression.js';
import type { BoundRule } from './bound-rule.js';
import { BoundSubspace } from './bound-subspace.js';
import { BoundTensorRule } from './bound-tensor-rule.js';

/** Puts a rule to work at a site. Checks that it can work there; allocates nothing. */
export function bind(rule: Rule, site: Site): BoundRule {
  switch (rule.type) {
    case 'expression':
      return new BoundExpression(rule, site);
    case 'tensor':
      return new BoundTensorRule(rule, site);
    case 'subspace':
      return new BoundSubspace(rule, site, bind);
  }
}
