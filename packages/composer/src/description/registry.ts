import { type Combine, type Described, didYouMean, type Projector, type Rule, UnknownNameError } from '@frugaljs/core';
import * as projectors from '@frugaljs/projectors';
import * as stateFree from '@frugaljs/state-free';
import * as stateFull from '@frugaljs/state-full';
import { drop } from '../combine/drop.js';
import { residual } from '../combine/residual.js';
import { subspace } from '../subspace.js';

type Options = Described['options'];
type Factory<Part> = (options: Options) => Part;

const rules = new Map<string, Factory<Rule>>();
const projectorFactories = new Map<string, Factory<Projector>>();
const combines = new Map<string, Factory<Combine>>();

/**
 * Makes a rule of your own loadable from JSON: the factory must give back, for the `options` of the rule, the same rule.
 * Built-in kinds cannot be replaced.
 */
export function registerRule(kind: string, factory: Factory<Rule>): void {
  register('rule', rules, kind, factory);
}

/** Makes a projector of your own loadable from JSON. */
export function registerProjector(kind: string, factory: Factory<Projector>): void {
  register('projector', projectorFactories, kind, factory);
}

/** Makes a combine of your own loadable from JSON. */
export function registerCombine(kind: string, factory: Factory<Combine>): void {
  register('combine', combines, kind, factory);
}

/** Builds a rule from its description. */
export function ruleFromJson(json: Described): Rule {
  if (json.kind !== 'subspace') return lookUp('rule', rules, builtInRules(), json);
  const { projector, rule, combine, refresh, onRefresh } = json.options as unknown as {
    projector: Described;
    rule: Described;
    combine?: Described;
    refresh?: { every: number | null; stagger?: boolean };
    onRefresh?: 'reset' | 'keep' | 'transport';
  };
  return subspace({
    projector: projectorFromJson(projector),
    rule: ruleFromJson(rule),
    ...(combine === undefined ? {} : { combine: combineFromJson(combine) }),
    ...(refresh === undefined ? {} : { refresh: { ...refresh, every: refresh.every ?? Number.POSITIVE_INFINITY } }),
    ...(onRefresh === undefined ? {} : { onRefresh }),
  });
}

/** Builds a projector from its description. */
export function projectorFromJson(json: Described): Projector {
  return lookUp('projector', projectorFactories, projectors as Readonly<Record<string, unknown>>, json);
}

/** Builds a combine from its description. */
export function combineFromJson(json: Described): Combine {
  if (json.kind === 'drop') return drop();
  if (json.kind === 'residual') {
    const { rule, ...options } = json.options as unknown as { rule: Described; scale?: number; tolerance?: number };
    return residual(ruleFromJson(rule), options);
  }
  return lookUp('combine', combines, {}, json);
}

/** The options that a built-in rule or projector has by default; empty for other kinds. */
export function defaultOptions(kind: string): Options {
  const factory = { ...builtInRules(), ...(projectors as Readonly<Record<string, unknown>>) }[kind];
  if (typeof factory !== 'function') return {};
  try {
    return ((factory as Factory<Described>)({}) as Described).options ?? {};
  } catch {
    // A part such as `given` has no defaults.
    return {};
  }
}

function builtInRules(): Readonly<Record<string, unknown>> {
  return { ...stateFull, ...stateFree };
}

function register<Part>(what: string, known: Map<string, Factory<Part>>, kind: string, factory: Factory<Part>): void {
  const builtIn = what === 'rule' ? builtInRules() : what === 'projector' ? projectors : { drop, residual };
  if (kind in builtIn || kind === 'subspace') {
    throw new UnknownNameError({
      parameter: `register ${what}`,
      found: kind,
      expected: 'a kind that is not built in',
      advice: 'Choose another kind for it.',
    });
  }
  known.set(kind, factory);
}

/** A built-in part is found under its kind among the exports of its package. */
function lookUp<Part>(
  what: string,
  registered: ReadonlyMap<string, Factory<Part>>,
  builtIn: Readonly<Record<string, unknown>>,
  { kind, options }: Described,
): Part {
  const factory = registered.get(kind) ?? (Object.hasOwn(builtIn, kind) ? builtIn[kind] : undefined);
  if (typeof factory !== 'function') {
    const factories = Object.entries(builtIn).flatMap(([name, value]) => (typeof value === 'function' ? [name] : []));
    const known = [...factories, ...registered.keys()];
    throw new UnknownNameError({
      parameter: `${what}.kind`,
      found: kind,
      expected: `one of ${known.join(', ')}`,
      advice:
        didYouMean(kind, known)?.advice ??
        `Register a ${what} of your own with register${what[0]!.toUpperCase()}${what.slice(1)} before loading it.`,
    });
  }
  return (factory as Factory<Part>)(options);
}
