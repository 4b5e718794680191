import {
  type Combine,
  InvalidOptionError,
  type OnRefresh,
  type Projector,
  type Refresh,
  type Rule,
  requireBoolean,
  requireKnownKeys,
  requireOneOf,
  type SubspaceRule,
} from '@frugaljs/core';
import { drop } from './combine/drop.js';
import { describe } from './description/describe.js';
import { requirePart } from './require-part.js';

export interface SubspaceOptions {
  /** Picks the subspace. */
  readonly projector: Projector;
  /** Steps on the projected gradient; its state lives in the subspace. */
  readonly rule: Rule;
  /** What happens to the part of the gradient that the subspace misses. Default {@link drop}. */
  readonly combine?: Combine;
  /** When the subspace is chosen anew, counted in updates. Default every 200. */
  readonly refresh?: Refresh;
  /** What happens to the rule's state then. Default `reset`. */
  readonly onRefresh?: OnRefresh;
}

/**
 * A rule that keeps its state in a subspace: with d = rule(down(G)), the direction is combine(up(d), G - up(down(G))).
 * The subspace is chosen at updates 0, T, 2T … (FRUGAL, Algorithm 1 and Algorithm 4).
 *
 * The result is itself a rule: it can be the rule inside another subspace or the rule for its residual.
 */
export function subspace(options: SubspaceOptions): SubspaceRule {
  requireKnownKeys('subspace', options, ['projector', 'rule', 'combine', 'refresh', 'onRefresh']);
  const { projector, rule, combine = drop(), refresh = { every: 200 }, onRefresh = 'reset' } = options;
  requirePart('subspace.projector', projector, 'fit', 'a projector such as columns({ density: 0.25 })');
  requirePart('subspace.rule', rule, 'type', 'a rule such as adamW()');
  requirePart('subspace.combine', combine, 'apply', 'drop() or residual(signSgd())');
  requireKnownKeys('subspace.refresh', refresh, ['every', 'stagger']);
  const { every, stagger = false } = refresh;
  if (every !== Number.POSITIVE_INFINITY && (!Number.isSafeInteger(every) || every < 1)) {
    throw new InvalidOptionError({
      parameter: 'subspace.refresh.every',
      found: every,
      expected: 'an integer of at least 1, or Infinity',
    });
  }
  requireBoolean('subspace.refresh.stagger', stagger);
  if (stagger && projector.kind === 'blockwise') {
    throw new InvalidOptionError({
      parameter: 'subspace.refresh.stagger',
      found: true,
      expected: 'false with a block-wise projector, whose blocks change together',
    });
  }
  requireOneOf('subspace.onRefresh', onRefresh, ['reset', 'keep', 'transport']);
  return {
    type: 'subspace',
    kind: 'subspace',
    options: {
      projector: describe(projector),
      rule: describe(rule),
      combine: describe(combine),
      refresh: { every: Number.isFinite(every) ? every : null, ...(stagger ? { stagger } : {}) },
      onRefresh,
    },
    projector,
    rule,
    combine,
    refresh,
    onRefresh,
  };
}
