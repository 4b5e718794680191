import {
  describePart,
  InvalidOptionError,
  type Json,
  NotSerializableError,
  requireOptions,
  requireSchedule,
  type Schedule,
  unquoted,
  valueFound,
} from '@frugaljs/core';
import { matchName, matchToJson, requireGroups } from './groups.js';
import { CLIP_OPTIONS, COMPOSE_OPTIONS, type ComposeOptions } from './options.js';

/** Checks everything about a composition that can be known before it meets a variable. */
export function requireComposition(options: ComposeOptions): void {
  requireOptions('compose', options, COMPOSE_OPTIONS);
  requireSettings('compose', options);
  requireGroups(options.groups);
}

/**
 * Checks the settings of a composition that have a structure of their own.
 *
 * @param owner What they were given to, `compose` or a recipe.
 */
export function requireSettings(owner: string, { learningRate, clip }: Omit<ComposeOptions, 'groups'>): void {
  requireLearningRate(`${owner}.learningRate`, learningRate);
  if (clip !== undefined) requireOptions(`${owner}.clip`, clip, CLIP_OPTIONS);
}

/** Checks a learning rate given as a number or a schedule. */
function requireLearningRate(parameter: string, learningRate: ComposeOptions['learningRate']): void {
  if (typeof learningRate === 'object' && learningRate !== null && typeof learningRate.at === 'function') {
    requireSchedule(parameter, learningRate);
    return;
  }
  if (typeof learningRate === 'number' && learningRate >= 0 && Number.isFinite(learningRate)) return;
  throw new InvalidOptionError({
    parameter,
    found: valueFound(learningRate),
    expected: 'a number in [0, Infinity) or a schedule such as cosine({ peak: 1e-3, steps: 1000 })',
    ...unquoted(learningRate),
    ...(typeof learningRate === 'function'
      ? { advice: 'Call a schedule of @frugaljs/core; one of your own is { kind, options, at: update => rate }.' }
      : {}),
  });
}

/**
 * Checks what is to take the place of a learning rate.
 *
 * @throws InvalidOptionError also for a number in the place of a schedule: `learningRate *= 0.5` would end the schedule at
 *   what it gives at this moment, and a warm-up at 0.
 */
export function requireNextRate(before: number | Schedule, next: number | Schedule): void {
  requireLearningRate('learningRate', next);
  if (typeof before === 'number' || typeof next !== 'number') return;
  throw new InvalidOptionError({
    parameter: 'learningRate',
    found: next,
    expected: `a schedule, as the learning rate follows ${before.kind}`,
    advice: 'Change learningRateScale, a factor on the schedule, or assign another schedule, such as constant(1e-3).',
  });
}

/** The composition as JSON. Throws {@link NotSerializableError} for predicates. */
export function compositionToJson(options: ComposeOptions): { readonly [key: string]: Json | undefined } {
  const { learningRate, groups, ...rest } = options;
  return {
    ...(rest as { readonly [key: string]: Json | undefined }),
    learningRate: typeof learningRate === 'number' ? learningRate : describePart(learningRate),
    groups: groups.map((group, i) => {
      const { match, use, ...settings } = group;
      return {
        ...(match === undefined ? {} : { match: matchToJson(matchName(group, i), match) }),
        ...(use === undefined ? {} : { use: describePart(use) }),
        ...settings,
      };
    }),
  };
}

/** Set by json.ts: what reads a composition from JSON, which compositions made in code do without. */
let read: ((json: Json) => ComposeOptions) | null = null;

export function readCompositionsWith(reader: (json: Json) => ComposeOptions): void {
  read = reader;
}

/** The composition that JSON describes, for who gets it from tfjs. */
export function readComposition(json: Json): ComposeOptions {
  if (read !== null) return read(json);
  throw new NotSerializableError({
    parameter: 'composition',
    found: 'JSON, and nothing loaded that reads it',
    expected: 'a program that imports what reads compositions',
    advice: "import '@frugaljs/composer', or '@frugaljs/composer/json' and register the parts of the composition.",
  });
}
