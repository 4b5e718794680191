import type { Rule, Schedule } from '@frugaljs/core';

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
  /** Permits a non-final group to match nothing. Default false. */
  readonly optional?: boolean;
}

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
