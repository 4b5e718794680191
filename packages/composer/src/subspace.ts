import {
  describePart,
  type EnergyEvent,
  InvalidOptionError,
  keepsAverage,
  type Projector,
  printedAs,
  type RefreshEvent,
  type Rule,
  requireCombine,
  requireOptions,
  requirePart,
  requireRule,
  type SimilarityEvent,
  type SubspaceRule,
} from '@frugaljs/core';
import { drop } from './combine/drop.js';
import {
  ENERGY_OPTIONS,
  REFRESH_OPTIONS,
  SIMILARITY_OPTIONS,
  SUBSPACE_OPTIONS,
  type SubspaceOptions,
} from './options.js';
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
  const complete = refresh.when === undefined ? refresh : { ...refresh, when: requireEvent(refresh.when) };
  if (complete.when !== undefined) requireFollowed(projector, growth);
  if (projector.shapeWith !== undefined && onRefresh !== 'reset') {
    throw new InvalidOptionError({
      parameter: 'subspace.onRefresh',
      found: onRefresh,
      expected: `reset with ${projector.kind} by energy, whose size changes: there is no place for state of another size`,
      advice: 'Leave `energy` out of the projector, or let state begin anew.',
    });
  }
  const { when } = complete;
  const isBounded = Number.isFinite(longest ?? Number.POSITIVE_INFINITY);
  const bound = isBounded && (growth !== 1 || when?.measure === 'similarity') ? { longest } : {};
  const growing = { ...(growth === 1 ? {} : { growth }), ...bound };
  const made: SubspaceRule = {
    type: 'subspace',
    kind: 'subspace',
    options: {
      projector: describePart(projector),
      rule: describePart(rule),
      combine: describePart(combine),
      refresh: {
        every: Number.isFinite(every) ? every : null,
        ...growing,
        ...(stagger ? { stagger } : {}),
        ...(when === undefined ? {} : { when: { ...when } }),
      },
      onRefresh,
    },
    projector,
    rule,
    combine,
    refresh: complete,
    onRefresh,
  };
  return printedAs(made, sentence);
}

/** A part of the gradient knows no weights to average. */
function requireNoAverage(parameter: string, rule: Rule): void {
  if (!keepsAverage(rule)) return;
  throw new InvalidOptionError({
    parameter,
    found: `${rule.kind}, which keeps an average of the weights`,
    expected: 'a rule for a part of the gradient',
    advice: `Put it around the whole: ${rule.kind}(subspace({ … })).`,
  });
}

/** Checks an event and fills in its defaults. */
function requireEvent(when: RefreshEvent): RefreshEvent {
  const parameter = 'subspace.refresh.when';
  const measure = (when as Partial<RefreshEvent> | null)?.measure;
  if (measure !== 'similarity' && measure !== 'energy') {
    throw new InvalidOptionError({
      parameter,
      found: when,
      expected: "an event, such as { measure: 'similarity' } or { measure: 'energy', fallenTo: 0.7 }",
    });
  }
  if (measure === 'similarity') {
    requireOptions(parameter, when, SIMILARITY_OPTIONS);
    const { atLeast = 0.4, last = 5 } = when as SimilarityEvent;
    return { measure, atLeast, last };
  }
  requireOptions(parameter, when, ENERGY_OPTIONS);
  const { below, fallenTo, check = 10, least = check } = when as EnergyEvent;
  if (below === undefined && fallenTo === undefined) {
    throw new InvalidOptionError({
      parameter,
      found: when,
      expected: '`below`, `fallenTo` or both, which say when the gradient has left the subspace',
    });
  }
  return {
    measure,
    ...(below === undefined ? {} : { below }),
    ...(fallenTo === undefined ? {} : { fallenTo }),
    check,
    least,
  };
}

/** Events are of subspaces that are fitted: those that are drawn or fixed show nothing of training. */
function requireFollowed({ kind, traits }: Projector, growth: number): void {
  if (traits.basisFrom !== 'gradient' || !traits.orthonormal) {
    throw new InvalidOptionError({
      parameter: 'subspace.refresh.when',
      found: `${kind}, of which the basis follows from ${traits.basisFrom === 'seed' ? 'the seed' : 'no gradient'}`,
      expected: 'a projector that is fitted to the gradient, such as svd',
    });
  }
  if (growth === 1) return;
  throw new InvalidOptionError({
    parameter: 'subspace.refresh.growth',
    found: growth,
    expected: '1 with `when`, which has training change the intervals',
  });
}
