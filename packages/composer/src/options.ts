import {
  type Described,
  describePart,
  InvalidOptionError,
  type Json,
  NotSerializableError,
  type OptionTable,
  requireOptions,
  type Schedule,
  scheduleFromJson,
} from '@frugaljs/core';
import { type Group, matchFromJson, matchToJson, requireGroups } from './groups.js';
import { ruleFromJson } from './registry.js';

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

/** The options of `compose`, in the order of the documentation. */
export const COMPOSE_OPTIONS: OptionTable<keyof ComposeOptions> = {
  learningRate: {
    type: 'structure',
    meaning: 'a number, or a schedule of `@frugaljs/core`; can be set later',
  },
  groups: { type: 'structure', meaning: 'who trains what; the first match takes a parameter' },
  clip: {
    type: 'structure',
    shown: 'none',
    meaning:
      '`{ value, globalNorm }`; entries first, then the norm over all gradients, also where its square overflows',
  },
  accumulate: { type: 'integer', minimum: 1, default: 1, meaning: 'gradients averaged before one update' },
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

const CLIP_OPTIONS: OptionTable<keyof Clip> = {
  value: { type: 'number', interval: '(0, Infinity)', meaning: 'largest size of an entry' },
  globalNorm: { type: 'number', interval: '(0, Infinity)', meaning: 'largest norm of all gradients together' },
};

/** Checks everything about a composition that can be known before it meets a variable. */
export function requireComposition(options: ComposeOptions): void {
  requireOptions('compose', options, COMPOSE_OPTIONS);
  requireLearningRate(options.learningRate);
  requireGroups(options.groups);
  if (options.clip !== undefined) requireOptions('compose.clip', options.clip, CLIP_OPTIONS);
}

/** Checks a learning rate given as a number or a schedule. */
export function requireLearningRate(learningRate: ComposeOptions['learningRate']): void {
  if (typeof learningRate === 'object' && learningRate !== null && typeof learningRate.at === 'function') {
    const { kind, options } = learningRate;
    if (typeof kind === 'string' && typeof options === 'object' && options !== null) return;
    throw new InvalidOptionError({
      parameter: 'compose.learningRate',
      found: `a schedule with kind ${kind} and options ${options}`,
      expected: 'kind: a name, options: JSON, which checkpoints hold, and at: update => rate',
    });
  }
  if (typeof learningRate === 'number' && learningRate >= 0 && Number.isFinite(learningRate)) return;
  throw new InvalidOptionError({
    parameter: 'compose.learningRate',
    found: learningRate,
    expected: 'a number in [0, Infinity) or a schedule such as cosine({ peak: 1e-3, steps: 1000 })',
    ...(typeof learningRate === 'function'
      ? { advice: 'Call a schedule of @frugaljs/core; one of your own is { kind, options, at: update => rate }.' }
      : {}),
  });
}

/** The composition as JSON. Throws {@link NotSerializableError} for predicates. */
export function compositionToJson(options: ComposeOptions): { readonly [key: string]: Json | undefined } {
  const { learningRate, groups, ...rest } = options;
  return {
    ...(rest as { readonly [key: string]: Json | undefined }),
    learningRate: typeof learningRate === 'number' ? learningRate : describePart(learningRate),
    groups: groups.map(({ match, use, ...settings }, i) => ({
      ...(match === undefined ? {} : { match: matchToJson(match, i) }),
      ...(use === undefined ? {} : { use: describePart(use) }),
      ...settings,
    })),
  };
}

/** The inverse of {@link compositionToJson}; unknown top-level keys are ignored, since tfjs adds some of its own. */
export function compositionFromJson(json: Json): ComposeOptions {
  if (typeof json !== 'object' || json === null || !('groups' in json)) {
    throw new NotSerializableError({ parameter: 'composition', found: json, expected: 'the JSON of a composition' });
  }
  const given = Object.entries(json).filter(
    ([name, value]) => Object.hasOwn(COMPOSE_OPTIONS, name) && value !== undefined,
  );
  const { learningRate, groups, ...settings } = Object.fromEntries(given) as unknown as Omit<
    ComposeOptions,
    'learningRate' | 'groups'
  > & { learningRate: number | Described; groups: readonly Json[] };
  return {
    ...settings,
    learningRate: typeof learningRate === 'number' ? learningRate : scheduleFromJson(learningRate),
    groups: groups.map(group => {
      const { match, use, ...rest } = group as { match?: Json; use?: Described };
      return {
        ...(rest as Group),
        ...(match === undefined ? {} : { match: matchFromJson(match) }),
        ...(use === undefined ? {} : { use: ruleFromJson(use) }),
      };
    }),
  };
}
