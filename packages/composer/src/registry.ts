import {
  type Combine,
  type Described,
  didYouMean,
  type Json,
  type Projector,
  type Rule,
  UnknownNameError,
} from '@frugaljs/core';
import type { SubspaceOptions } from './options.js';
import { subspace } from './subspace.js';

// What can be built from its description. The parts that come with the library register as a user's do (built-ins.ts);
// whoever imports `@frugaljs/composer/compose` alone starts with `subspace` and nothing else.

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

function fromJson<Kind extends keyof Parts>(what: Kind, { kind, options }: Described): Parts[Kind] {
  const entry = registered[what].get(kind);
  if (entry !== undefined) return entry.factory(options);
  const known = [...registered[what].keys()];
  const isWhole = known.some(name => registered[what].get(name)!.isBuiltIn && name !== 'subspace');
  throw new UnknownNameError({
    parameter: `${what}.kind`,
    found: kind,
    expected: known.length === 0 ? `a ${what} that is registered` : `one of ${known.join(', ')}`,
    advice:
      didYouMean(kind, known)?.advice ??
      `Register a ${what} of your own with register${what[0]!.toUpperCase()}${what.slice(1)} before loading it.${
        isWhole ? '' : ' `@frugaljs/composer` registers those of the library, `@frugaljs/composer/compose` does not.'
      }`,
  });
}

function subspaceFromJson(options: Options): Rule {
  const { projector, rule, combine, refresh, ...rest } = options as unknown as Pick<SubspaceOptions, 'onRefresh'> & {
    projector: Described;
    rule: Described;
    combine?: Described;
    refresh?: { every: number | null; stagger?: boolean };
  };
  return subspace({
    projector: projectorFromJson(projector),
    rule: ruleFromJson(rule),
    ...(combine === undefined ? {} : { combine: combineFromJson(combine) }),
    ...(refresh === undefined ? {} : { refresh: { ...refresh, every: refresh.every ?? Number.POSITIVE_INFINITY } }),
    ...(rest.onRefresh === undefined ? {} : { onRefresh: rest.onRefresh }),
  });
}

/**
 * A part as a line of text, for example `subspace(columns(density 0.25) → adamW; residual(signSgd); every 200, reset)`.
 * Options at their defaults are left out, except sizes, where the kind is registered.
 */
export function sentence(part: Described): string {
  const { kind, options } = part;
  if (kind === 'subspace') {
    const [projector, rule, combine] = [options['projector'], options['rule'], options['combine']].map(sentenceOf);
    const { every, stagger } = options['refresh'] as { every: number | null; stagger?: boolean };
    return `subspace(${projector} → ${rule}; ${combine}; every ${every ?? '∞'}${stagger ? ' staggered' : ''}, ${options['onRefresh']})`;
  }
  const defaults = defaultOptions(kind);
  const shown = Object.entries(options).flatMap(([name, value]) => {
    if (value === undefined || value === null) return [];
    if (isDescribed(value)) return [sentence(value)];
    const isSize = name === 'density' || name === 'rank';
    if (!isSize && JSON.stringify(value) === JSON.stringify(defaults[name])) return [];
    return [`${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`];
  });
  return shown.length === 0 ? kind : `${kind}(${shown.join(', ')})`;
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

function sentenceOf(json: Json | undefined): string {
  return isDescribed(json) ? sentence(json) : JSON.stringify(json);
}

function isDescribed(json: Json | undefined): json is { kind: string; options: Options } {
  return typeof json === 'object' && json !== null && !Array.isArray(json) && 'kind' in json && 'options' in json;
}
