import {
  type Combine,
  type Described,
  didYouMean,
  InvalidOptionError,
  type Json,
  NotSerializableError,
  type Projector,
  type Refresh,
  type Rule,
  requireKnownKeys,
  scheduleFromJson,
  UnknownNameError,
} from '@frugaljs/core';
import { readCompositionsWith } from './composition.js';
import { CONDITIONS, type Pattern } from './groups.js';
import { COMPOSE_OPTIONS, type ComposeOptions, type Group, type Match, type SubspaceOptions } from './options.js';
import { leaveOutDefaults } from './reports.js';
import { subspace } from './subspace.js';

// `@frugaljs/composer/json`: what reads compositions and their parts from JSON. The parts that come with the library register
// as a user's do (built-ins.ts); without them there is `subspace` and nothing else.

type Options = Described['options'];
type Factory<Part> = (options: Options) => Part;
type Parts = { readonly rule: Rule; readonly projector: Projector; readonly combine: Combine };

interface Entry<Part> {
  readonly factory: Factory<Part>;
  readonly isBuiltIn: boolean;
}

const registered: { readonly [Kind in keyof Parts]: Map<string, Entry<Parts[Kind]>> } = {
  rule: new Map([['subspace', { factory: subspaceFromJson, isBuiltIn: true }]]),
  projector: new Map(),
  combine: new Map(),
};

/**
 * Makes a rule of your own loadable from JSON: the factory must give back, for the `options` of the rule, the same rule.
 * Built-in kinds cannot be replaced.
 */
export function registerRule(kind: string, factory: Factory<Rule>): void {
  register('rule', kind, factory);
}

/** Makes a projector of your own loadable from JSON. */
export function registerProjector(kind: string, factory: Factory<Projector>): void {
  register('projector', kind, factory);
}

/** Makes a combine of your own loadable from JSON. */
export function registerCombine(kind: string, factory: Factory<Combine>): void {
  register('combine', kind, factory);
}

/** Registers a part, which nobody can replace later if it is built in. */
export function register<Kind extends keyof Parts>(
  what: Kind,
  kind: string,
  factory: Factory<Parts[Kind]>,
  isBuiltIn = false,
): void {
  if (typeof kind !== 'string' || typeof factory !== 'function') {
    throw new InvalidOptionError({
      parameter: `register ${what}`,
      found: typeof kind === 'string' ? factory : kind,
      expected: 'a kind, and a function that makes the part from its options',
    });
  }
  if (!isBuiltIn && registered[what].get(kind)?.isBuiltIn) {
    throw new UnknownNameError({
      parameter: `register ${what}`,
      found: kind,
      expected: 'a kind that is not built in',
      advice: 'Choose another kind for it.',
    });
  }
  registered[what].set(kind, { factory, isBuiltIn });
}

/** Builds a rule from its description. */
export function ruleFromJson(json: Described): Rule {
  return fromJson('rule', json);
}

/** Builds a projector from its description. */
export function projectorFromJson(json: Described): Projector {
  return fromJson('projector', json);
}

/** Builds a combine from its description. */
export function combineFromJson(json: Described): Combine {
  return fromJson('combine', json);
}

function fromJson<Kind extends keyof Parts>(what: Kind, json: Described): Parts[Kind] {
  if (typeof json?.kind !== 'string' || typeof (json.options ?? {}) !== 'object') {
    throw new InvalidOptionError({ parameter: what, found: json, expected: 'its JSON, { kind, options }' });
  }
  const { kind, options } = json;
  const known = [...registered[what].keys()];
  // `randk` is how some configurations spell randK, and recipes once did.
  const spelled = registered[what].has(kind) ? kind : known.find(each => each.toLowerCase() === kind.toLowerCase());
  if (spelled !== undefined) return registered[what].get(spelled)!.factory(options);
  const isWhole = known.some(name => registered[what].get(name)!.isBuiltIn && name !== 'subspace');
  throw new UnknownNameError({
    parameter: `${what}.kind`,
    found: kind,
    expected: known.length === 0 ? `a ${what} that is registered` : `one of ${known.join(', ')}`,
    advice:
      didYouMean(kind, known)?.advice ??
      `Register a ${what} of your own with register${what[0]!.toUpperCase()}${what.slice(1)} before loading it.${
        isWhole ? '' : ' `@frugaljs/composer` registers those of the library.'
      }`,
  });
}

function subspaceFromJson(options: Options): Rule {
  const { projector, rule, combine, refresh, ...rest } = options as unknown as Pick<SubspaceOptions, 'onRefresh'> & {
    projector: Described;
    rule: Described;
    combine?: Described;
    refresh?: Omit<Refresh, 'every'> & { every: number | null };
  };
  return subspace({
    projector: projectorFromJson(projector),
    rule: ruleFromJson(rule),
    ...(combine === undefined ? {} : { combine: combineFromJson(combine) }),
    ...(refresh === undefined ? {} : { refresh: { ...refresh, every: refresh.every ?? Number.POSITIVE_INFINITY } }),
    ...(rest.onRefresh === undefined ? {} : { onRefresh: rest.onRefresh }),
  });
}

/** The inverse of `compositionToJson`; unknown top-level keys are ignored, since tfjs adds some of its own. */
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

/** The inverse of `matchToJson`. */
function matchFromJson(json: Json): Match {
  if (typeof json === 'string' || Array.isArray(json) || isRegExpJson(json)) return patternsFromJson(json);
  requireKnownKeys('match', json as object, CONDITIONS);
  const { name, not, minRank, maxRank } = json as { name?: Json; not?: Json; minRank?: number; maxRank?: number };
  return {
    ...(name === undefined ? {} : { name: patternsFromJson(name) }),
    ...(not === undefined ? {} : { not: patternsFromJson(not) }),
    ...(minRank === undefined ? {} : { minRank }),
    ...(maxRank === undefined ? {} : { maxRank }),
  };
}

function isRegExpJson(json: Json): json is { source: string; flags: string } {
  return typeof json === 'object' && json !== null && 'source' in json;
}

function patternsFromJson(json: Json): Pattern | Pattern[] {
  if (typeof json === 'string') return json;
  if (isRegExpJson(json)) return new RegExp(json.source, json.flags);
  if (Array.isArray(json)) return json.map(part => patternsFromJson(part) as Pattern);
  throw new InvalidOptionError({ parameter: 'match', found: json, expected: 'a name or { source, flags }' });
}

/** The options that a built-in part has by default; empty for other kinds. */
function defaultOptions(kind: string): Options {
  if (kind === 'residual') return { scale: 1, tolerance: 1e-6 };
  const entry = registered.projector.get(kind) ?? registered.rule.get(kind);
  if (!entry?.isBuiltIn) return {};
  try {
    return entry.factory({}).options;
  } catch {
    // A part such as `given` has no defaults.
    return {};
  }
}

readCompositionsWith(compositionFromJson);
leaveOutDefaults(defaultOptions);
