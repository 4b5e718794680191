import type {
  Combine,
  EnergyEvent,
  OnRefresh,
  Projector,
  Refresh,
  Rule,
  Schedule,
  SimilarityEvent,
} from '@frugaljs/core';
import type { OptionTable } from '@frugaljs/core/options';

// What can be said to `compose`, its groups and `subspace`: the types for the compiler, and the same as tables
// from which options are checked, read from JSON, offered in a form and documented. Nothing here loads tfjs.

/** A parameter as a predicate or a memory report sees it; a `tf.Variable` is one. */
export interface NamedShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/**
 * Which parameters a group takes: an exact name, a regular expression on the name, a list of these, a predicate, or
 * conditions that must all hold. A predicate is code and cannot be saved with a configuration.
 */
export type Match =
  | string
  | RegExp
  | readonly (string | RegExp)[]
  | MatchConditions
  | ((parameter: NamedShape) => boolean);

/** Conditions on a parameter, all of which must hold. */
export interface MatchConditions {
  /** The name is, or matches one of, these. */
  readonly name?: string | RegExp | readonly (string | RegExp)[];
  /** The name matches none of these. */
  readonly not?: string | RegExp | readonly (string | RegExp)[];
  /** Smallest number of axes. */
  readonly minRank?: number;
  /** Largest number of axes. */
  readonly maxRank?: number;
}

/** Parameters that are trained alike. */
export interface Group {
  /** Which parameters. The first group that matches takes a parameter. Default: all that are left. */
  readonly match?: Match;
  /** The rule. Omit it only together with `frozen`. */
  readonly use?: Rule;
  /** Leaves the parameters as they are and keeps no state. Default false. */
  readonly frozen?: boolean;
  /** Factor on the learning rate of the direction, not of the weight decay. Default 1. */
  readonly lrScale?: number;
  /** λ of the decoupled weight decay W ← (1 - ηλ) W. Default 0. */
  readonly weightDecay?: number;
  /** Whether the decay is applied to W `before` the step (PyTorch, FRUGAL) or `after` it (GaLore). Default before. */
  readonly decay?: 'before' | 'after';
  /** Whether parameters that a block-wise method leaves out of an update decay all the same. Default true. */
  readonly decayInactive?: boolean;
  /** Permits a non-final group to match no variable that exists. Default false. */
  readonly optional?: boolean;
  /**
   * Leaves to a later group the parameters of which the subspace has nothing, as its density rounds to nothing of them or
   * its projector does not take their shape. Default: what `optional` is.
   */
  readonly leaves?: boolean;
}

/** The options of a group, in the order of the documentation. */
export const GROUP_OPTIONS: OptionTable<keyof Group> = {
  match: {
    type: 'structure',
    shown: 'all that are left',
    meaning:
      'exact name, regular expression, a list of these, `{ name, not, minRank, maxRank }`, or a predicate (cannot be saved)',
  },
  use: { type: 'structure', meaning: 'the rule' },
  frozen: { type: 'boolean', default: false, meaning: 'leaves the parameters alone' },
  lrScale: {
    type: 'number',
    interval: '[0, Infinity)',
    default: 1,
    meaning: 'factor on the learning rate of the direction, not of the decay',
  },
  weightDecay: { type: 'number', interval: '[0, Infinity)', default: 0, meaning: 'λ of W ← (1 - ηλ) W' },
  decay: {
    type: 'choice',
    choices: ['before', 'after'],
    default: 'before',
    meaning: '`before` the step (PyTorch, FRUGAL) or `after` it (GaLore)',
  },
  decayInactive: { type: 'boolean', default: true, meaning: 'whether blocks at rest decay' },
  optional: {
    type: 'boolean',
    default: false,
    meaning: 'may match no variable that exists, unlike others but the last',
  },
  leaves: {
    type: 'boolean',
    shown: 'as `optional`',
    meaning: 'leaves to a later group what its subspace has nothing of',
  },
};

export interface Clip {
  /** Every entry of the gradients is limited to [-value, value], before the norm is taken. */
  readonly value?: number;
  /** Gradients are scaled by min(1, globalNorm / (‖all gradients‖ + 1e-6)), as PyTorch does. */
  readonly globalNorm?: number;
}

/** What is done about a gradient with NaN or Inf: see {@link ComposeOptions.onNonFinite}. */
export type NonFinitePolicy = 'throw' | 'skip' | 'ignore';

export interface ComposeOptions {
  /** A number, or a schedule over updates. */
  readonly learningRate: number | Schedule;
  /** Factor on the learning rate of every update, which can be changed during training; part of the state. Default 1. */
  readonly learningRateScale?: number;
  /** The first group that matches a parameter takes it; a parameter that none takes is an error. */
  readonly groups: readonly Group[];
  readonly clip?: Clip;
  /** Gradients averaged before one update. Default 1. */
  readonly accumulate?: number;
  /** Seed of every random subspace. Default 0. */
  readonly seed?: number;
  /**
   * What a NaN or Inf in a gradient does. `throw` (default): an error naming the parameter, before anything changes.
   * `skip`: the update is left out and counted in `skippedUpdates`. `ignore`: no check is made.
   *
   * Where nothing can be read back at once (webgpu) the device itself leaves the update out; the error, which then stops
   * all later updates until it is thrown, and the count come later: see `ComposedOptimizer.settled`. Such updates count
   * in `updates` and in the steps of the rules, and a change of subspace that falls on one happens.
   */
  readonly onNonFinite?: NonFinitePolicy;
  /**
   * What a trainable variable listed with a null gradient does: `throw` (default) or `skip`. Variables that are absent
   * or frozen are always left alone.
   */
  readonly onMissingGradient?: 'throw' | 'skip';
  /**
   * What runs the rules: `auto` (default) takes the fused kernels of the backend where they are registered and can run
   * the composition; `reference` always takes tfjs operations.
   */
  readonly kernels?: 'auto' | 'reference';
}

/** The options of `compose`, in the order of the documentation. */
export const COMPOSE_OPTIONS: OptionTable<keyof ComposeOptions> = {
  learningRate: {
    type: 'structure',
    meaning: 'a number, or a schedule of `@frugaljs/core`; can be set later',
  },
  learningRateScale: {
    type: 'number',
    interval: '[0, Infinity)',
    default: 1,
    meaning: 'factor on it that can be changed during training, also over a schedule',
  },
  groups: { type: 'structure', meaning: 'who trains what; the first match takes a parameter' },
  clip: {
    type: 'structure',
    shown: 'none',
    meaning:
      '`{ value, globalNorm }`; entries first, then the norm over all gradients, also where its square overflows',
  },
  accumulate: {
    type: 'integer',
    minimum: 1,
    default: 1,
    meaning: 'gradients averaged before one update: their sum over this number, whichever variables each round had',
  },
  seed: { type: 'number', interval: '(-Infinity, Infinity)', default: 0, meaning: 'of every random subspace' },
  onNonFinite: {
    type: 'choice',
    choices: ['throw', 'skip', 'ignore'],
    default: 'throw',
    meaning:
      '`throw` names the parameter and changes nothing, `skip` counts in `skippedUpdates`, `ignore` does not look',
  },
  onMissingGradient: {
    type: 'choice',
    choices: ['throw', 'skip'],
    default: 'throw',
    meaning: 'for a trainable variable listed with a null gradient; absent variables are left alone',
  },
  kernels: {
    type: 'choice',
    choices: ['auto', 'reference'],
    default: 'auto',
    meaning: '`reference` runs tfjs operations even where fused kernels are registered',
  },
};

export const CLIP_OPTIONS: OptionTable<keyof Clip> = {
  value: { type: 'number', interval: '(0, Infinity)', meaning: 'largest size of an entry' },
  globalNorm: { type: 'number', interval: '(0, Infinity)', meaning: 'largest norm of all gradients together' },
};

export interface SubspaceOptions {
  /** Picks the subspace. */
  readonly projector: Projector;
  /** Steps on the projected gradient; its state lives in the subspace. */
  readonly rule: Rule;
  /** What happens to the part of the gradient that the subspace misses. Default `drop()`. */
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
    meaning:
      'updates between two choices of the subspace; `stagger: true` spreads them over the interval, `when` has training change it',
  },
  onRefresh: {
    type: 'choice',
    choices: ['reset', 'keep', 'transport'],
    default: 'reset',
    meaning: '`reset` (FRUGAL), `keep` (GaLore) or `transport`',
  },
};

export const REFRESH_OPTIONS: OptionTable<keyof Refresh> = {
  every: { type: 'integer', minimum: 1, orInfinity: true, meaning: 'updates between two choices' },
  growth: { type: 'number', interval: '[1, Infinity)', default: 1, meaning: 'each interval over the one before' },
  longest: {
    type: 'integer',
    minimum: 1,
    orInfinity: true,
    meaning: 'the longest interval, where they grow or double',
  },
  stagger: { type: 'boolean', default: false, meaning: 'the parameters of a group take turns' },
  when: {
    type: 'structure',
    meaning: "an event: `{ measure: 'similarity', … }` or `{ measure: 'energy', … }`; not with `growth`",
  },
};

export const SIMILARITY_OPTIONS: OptionTable<keyof SimilarityEvent> = {
  measure: { type: 'choice', choices: ['similarity'], meaning: '|cos| of the first vectors, new and before' },
  atLeast: { type: 'number', interval: '[0, 1]', default: 0.4, meaning: 'the mean from which the interval doubles' },
  last: { type: 'integer', minimum: 1, default: 5, meaning: 'how many refreshes it is the mean of' },
};

export const ENERGY_OPTIONS: OptionTable<keyof EnergyEvent> = {
  measure: { type: 'choice', choices: ['energy'], meaning: 'share of ‖G‖² in the subspace' },
  below: { type: 'number', interval: '[0, 1]', meaning: 'the share below which the subspace is chosen anew' },
  fallenTo: { type: 'number', interval: '[0, 1]', meaning: 'the same, as a factor on the share when it was chosen' },
  check: { type: 'integer', minimum: 1, default: 10, meaning: 'updates between two looks' },
  least: { type: 'integer', minimum: 1, shown: 'as `check`', meaning: 'updates that a subspace stays at least' },
};
