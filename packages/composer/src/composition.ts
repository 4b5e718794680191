import {
  type Described,
  describePart,
  InvalidOptionError,
  type Json,
  NotSerializableError,
  requireOptions,
  scheduleFromJson,
} from '@frugaljs/core';
import { matchFromJson, matchToJson, requireGroups } from './groups.js';
import { CLIP_OPTIONS, COMPOSE_OPTIONS, type ComposeOptions, type Group } from './options.js';
import { ruleFromJson } from './registry.js';

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
