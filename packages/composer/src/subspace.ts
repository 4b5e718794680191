import {
  describePart,
  InvalidOptionError,
  printedAs,
  type Rule,
  requireCombine,
  requireOptions,
  requirePart,
  requireRule,
  type SubspaceRule,
} from '@frugaljs/core';
import { drop } from './combine/drop.js';
import { REFRESH_OPTIONS, SUBSPACE_OPTIONS, type SubspaceOptions } from './options.js';
import { sentence } from './reports.js';

/**
 * A rule that keeps its state in a subspace: with d = rule(down(G)), the direction is combine(up(d), G - up(down(G))).
 * The subspace is chosen at updates 0, T, 2T … (FRUGAL, Algorithm 1 and Algorithm 4).
 *
 * The result is itself a rule: it can be the rule inside another subspace or the rule for its residual.
 */
export function subspace(options: SubspaceOptions): SubspaceRule {
  requireOptions('subspace', options, SUBSPACE_OPTIONS);
  const { projector, rule, combine = drop(), refresh = { every: 200 }, onRefresh = 'reset' } = options;
  requirePart('subspace.projector', projector, 'projector', 'a projector such as columns({ density: 0.25 })');
  requireRule('subspace.rule', rule);
  requireCombine('subspace.combine', combine);
  requireNoAverage('subspace.rule', rule);
  if (combine.rule !== null) requireNoAverage('subspace.combine.rule', combine.rule);
  requireOptions('subspace.refresh', refresh, REFRESH_OPTIONS);
  const { every, growth = 1, longest, stagger = false } = refresh;
  if (stagger && projector.kind === 'blockwise') {
    throw new InvalidOptionError({
      parameter: 'subspace.refresh.stagger',
      found: true,
      expected: 'false with a block-wise projector, whose blocks change together',
    });
  }
  if (stagger && growth !== 1) {
    throw new InvalidOptionError({
      parameter: 'subspace.refresh.growth',
      found: growth,
      expected: '1 with `stagger`, which spreads equal intervals',
    });
  }
  if (longest !== undefined && longest < every) {
    throw new InvalidOptionError({
      parameter: 'subspace.refresh.longest',
      found: longest,
      expected: `at least \`every\`, which is ${every}`,
    });
  }
  const growing = growth === 1 ? {} : { growth, ...(Number.isFinite(longest ?? Infinity) ? { longest } : {}) };
  const made: SubspaceRule = {
    type: 'subspace',
    kind: 'subspace',
    options: {
      projector: describePart(projector),
      rule: describePart(rule),
      combine: describePart(combine),
      refresh: { every: Number.isFinite(every) ? every : null, ...growing, ...(stagger ? { stagger } : {}) },
      onRefresh,
    },
    projector,
    rule,
    combine,
    refresh,
    onRefresh,
  };
  return printedAs(made, sentence);
}

/** A part of the gradient knows no weights to average. */
function requireNoAverage(parameter: string, rule: Rule): void {
  const { average } = rule.type === 'subspace' ? rule.combine : rule;
  if (average === undefined) return;
  throw new InvalidOptionError({
    parameter,
    found: `${rule.kind}, which keeps an average of the weights`,
    expected: 'a rule for a part of the gradient',
    advice: `Put it around the whole: ${rule.kind}(subspace({ … })).`,
  });
}
