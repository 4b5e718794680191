import { type Described, type Json, NotSerializableError, scheduleFromJson } from '@frugaljs/core';
import { describe } from '../description/describe.js';
import { ruleFromJson } from '../description/registry.js';
import { matchFromJson, matchToJson } from './matching.js';
import type { ComposeOptions, Group } from './options.js';

/** The composition as JSON. Throws {@link NotSerializableError} for predicates. */
export function compositionToJson(options: ComposeOptions): { readonly [key: string]: Json | undefined } {
  const { learningRate, groups, ...rest } = options;
  return {
    ...(rest as { readonly [key: string]: Json | undefined }),
    learningRate: typeof learningRate === 'number' ? learningRate : describe(learningRate),
    groups: groups.map(({ match, use, ...settings }, i) => ({
      ...(match === undefined ? {} : { match: matchToJson(match, i) }),
      ...(use === undefined ? {} : { use: describe(use) }),
      ...settings,
    })),
  };
}

/** The inverse of {@link compositionToJson}; unknown top-level keys are ignored, since tfjs adds some of its own. */
export function compositionFromJson(json: Json): ComposeOptions {
  if (typeof json !== 'object' || json === null || !('groups' in json)) {
    throw new NotSerializableError({ parameter: 'composition', found: json, expected: 'the JSON of a composition' });
  }
  const { learningRate, groups, clip, accumulate, seed, onNonFinite, onMissingGradient, kernels } =
    json as unknown as Omit<ComposeOptions, 'learningRate' | 'groups'> & {
      learningRate: number | Described;
      groups: readonly Json[];
    };
  const settings = { clip, accumulate, seed, onNonFinite, onMissingGradient, kernels };
  return {
    ...(Object.fromEntries(Object.entries(settings).filter(([, value]) => value !== undefined)) as typeof settings),
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
