import {
  type Combine,
  describePart,
  InvalidOptionError,
  type OnRefresh,
  type OptionTable,
  type Projector,
  type Refresh,
  type Rule,
  requireOptions,
  requirePart,
  type SubspaceRule,
} from '@frugaljs/core';
import { drop } from './combine/drop.js';

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

/** The options of `subspace`, in the order of the documentation. */
export const SUBSPACE_OPTIONS: OptionTable<keyof SubspaceOptions> = {
  projector: { type: 'structure', meaning: 'picks the subspace' },
  rule: { type: 'structure', meaning: 'steps inside it, where its state lives' },
  combine: {
    type: 'structure',
    shown: '`drop()`',
    meaning: '`drop()`, `residual(rule, { scale, tolerance })`, or a combine of your own',
  },
  refresh: {
    type: 'structure',
    shown: '`{ every: 200 }`',
    meaning: 'updates between two choices of the subspace; `stagger: true` spreads them over the interval',
  },
  onRefresh: {
    type: 'choice',
    choices: ['reset', 'keep', 'transport'],
    default: 'reset',
    meaning: '`reset` (FRUGAL), `keep` (GaLore) or `transport`',
  },
};

const REFRESH_OPTIONS: OptionTable<keyof Refresh> = {
  every: { type: 'structure', meaning: 'updates, at least 1, or Infinity' },
  stagger: { type: 'boolean', default: false, meaning: 'the parameters of a group take turns' },
};

/**
 * A rule that keeps its state in a subspace: with d = rule(down(G)), the direction is combine(up(d), G - up(down(G))).
 * The subspace is chosen at updates 0, T, 2T … (FRUGAL, Algorithm 1 and Algorithm 4).
 *
 * The result is itself a rule: it can be the rule inside another subspace or the rule for its residual.
 */
export function subspace(options: SubspaceOptions): SubspaceRule {
  requireOptions('subspace', options, SUBSPACE_OPTIONS);
  const { projector, rule, combine = drop(), refresh = { every: 200 }, onRefresh = 'reset' } = options;
  requirePart('subspace.projector', projector, 'fit', 'a projector such as columns({ density: 0.25 })');
  requirePart('subspace.rule', rule, 'type', 'a rule such as adamW()');
  requirePart('subspace.combine', combine, 'apply', 'drop() or residual(signSgd())');
  requireOptions('subspace.refresh', refresh, REFRESH_OPTIONS);
  const { every, stagger = false } = refresh;
  if (every !== Number.POSITIVE_INFINITY && (!Number.isSafeInteger(every) || every < 1)) {
    throw new InvalidOptionError({
      parameter: 'subspace.refresh.every',
      found: every,
      expected: 'an integer of at least 1, or Infinity',
    });
  }
  if (stagger && projector.kind === 'blockwise') {
    throw new InvalidOptionError({
      parameter: 'subspace.refresh.stagger',
      found: true,
      expected: 'false with a block-wise projector, whose blocks change together',
    });
  }
  return {
    type: 'subspace',
    kind: 'subspace',
    options: {
      projector: describePart(projector),
      rule: describePart(rule),
      combine: describePart(combine),
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
