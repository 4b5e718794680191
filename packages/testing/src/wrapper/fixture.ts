import {
  type Combine,
  describePart,
  type ExpressionRule,
  expressionRule,
  type Projector,
  type Rule,
  randomKey,
  randomNormals,
  type Shape,
  type SubspaceRule,
  sizeOf,
  tensorRule,
} from '@frugaljs/core';
import { add, clone, mul } from '@tensorflow/tfjs-core';
import fc, { type Arbitrary } from 'fast-check';
import { type Parameters, shapes } from '../arbitraries/gradients.js';
import type { GrowthLimit } from '../combine/fixture.js';
import { BrokenLaw, EPSILON32 } from '../law.js';
import { type PlainRule, RuleRun, type RuleStep } from '../rule/fixture.js';
import { type RunOptions, requireKnownClaims, requireMade } from '../run.js';

/** A wrapper in plain numbers, for one tensor: the direction of step t ≥ 1 from that of the rule and the gradient. */
export type WrapperFormula = (direction: Float32Array, g: Float32Array, t: number) => ArrayLike<number>;

/** What a factory of wrappers promises. Every claim is tested; what is not claimed is not. */
export interface WrapperClaims<Options> {
  /** Gradients it works on. Default `any`. */
  readonly parameters?: Parameters;
  /** Options to draw. Default: `{}` only. */
  readonly options?: Arbitrary<Options>;
  /** With these options it changes nothing. */
  readonly neutral?: (options: Options) => boolean;
  /** The wrapper written down in plain numbers. The function keeps the state of one tensor. */
  readonly formula?: (options: Options, shape: Shape) => WrapperFormula;
  /** The norm of a direction is at most the factor times that of the one before. Null for options that limit nothing. */
  readonly limit?: (options: Options) => GrowthLimit | null;
  /** With -G in every step and a rule that answers with -d, the direction is the negative. Default true. */
  readonly odd?: boolean;
}

export interface WrapperLawOptions<Options> extends WrapperClaims<Options>, RunOptions {
  /** How reports call it. Default: the kind. */
  readonly name?: string;
}

/** Wraps a rule of any type. */
export type WrapperFactory<Options> = (rule: Rule, options: Options) => Rule;

/** A factory of wrappers under test. */
export interface WrapperFixture {
  readonly create: (rule: Rule, options: unknown) => Rule;
  readonly claims: WrapperClaims<unknown>;
  readonly options: Arbitrary<unknown>;
  readonly kind: string;
}

const CLAIMS = ['parameters', 'options', 'neutral', 'formula', 'limit', 'odd'];

export function wrapperFixture<Options>(
  factory: WrapperFactory<Options>,
  claims: WrapperClaims<Options> = {},
): WrapperFixture {
  requireKnownClaims('checkWrapper', claims, CLAIMS);
  const options = (claims.options ?? fc.constant({})) as Arbitrary<unknown>;
  const create = factory as (rule: Rule, options: unknown) => Rule;
  const [drawn] = fc.sample(options, { seed: 1, numRuns: 1 });
  const { kind } = requireMade('a rule', create(RULES.momentum, drawn), ['kind', 'options', 'type']);
  return { create, claims: claims as WrapperClaims<unknown>, options, kind };
}

const momentum: ExpressionRule<'m'> = expressionRule<'m'>({
  kind: 'momentum',
  options: {},
  state: () => ({ m: { extent: 'element' } }),
  step: ({ g, m }) => {
    const next = m.mul(0.5).add(g);
    return { direction: next, m: next };
  },
});

export type WrappedName = 'gradient' | 'momentum' | 'crowded';

/** What is wrapped: without state, with some, and with slots and per-step numbers called as those of many wrappers. */
export const RULES: Readonly<Record<WrappedName, ExpressionRule>> = {
  gradient: expressionRule({ kind: 'gradient', options: {}, state: () => ({}), step: ({ g }) => ({ direction: g }) }),
  momentum: momentum as ExpressionRule,
  crowded: expressionRule<'average' | 'previous', 'correction'>({
    kind: 'crowded',
    options: {},
    state: () => ({ average: { extent: 'element' }, previous: { extent: 'tensor', initial: 0.5 } }),
    scalars: t => ({ correction: 1 / (1 - 0.5 ** t) }),
    step: ({ g, average, previous, correction }) => {
      const next = average.mul(0.5).add(g.mul(0.5));
      // A sum of two that may point against the gradient.
      return { direction: next.mul(correction).sub(g.mul(previous)), average: next, previous: previous.mul(0.5) };
    },
  }) as ExpressionRule,
};

/** `momentum` in tfjs operations. */
export const TENSOR_MOMENTUM: Rule = tensorRule<'m'>({
  kind: 'tensorMomentum',
  options: {},
  state: () => ({ m: { extent: 'element' } }),
  step: ({ g, m }) => {
    const next = add(mul(m, 0.5), g);
    return { direction: next, m: next };
  },
});

/** The rule in a subspace of everything, as a composer makes it. */
export function inEverything(rule: Rule): SubspaceRule {
  const [projector, combine]: [Projector, Combine] = [EVERYTHING, LIFTED];
  const parts = { projector: describePart(projector), rule: describePart(rule), combine: describePart(combine) };
  return {
    type: 'subspace',
    kind: 'subspace',
    options: { ...parts, refresh: { every: null }, onRefresh: 'reset' },
    projector,
    rule,
    combine,
    refresh: { every: Number.POSITIVE_INFINITY },
    onRefresh: 'reset',
  };
}

const EVERYTHING: Projector = {
  kind: 'everything',
  options: {},
  traits: { orthonormal: true, coordinate: true, basisFrom: 'fixed' },
  reducedShape: ({ shape }) => shape,
  basis: () => ({}),
  fit: () => ({}),
  down: g => clone(g),
  up: x => clone(x),
};

const LIFTED: Combine = {
  kind: 'lifted',
  options: {},
  rule: null,
  tolerance: 0,
  state: () => ({}),
  apply: ({ lifted }) => ({ direction: lifted }),
};

/** What one run of a law draws. */
export interface WrapperExample {
  readonly shape: Shape;
  readonly rule: WrappedName;
  readonly options: unknown;
  readonly seed: number;
}

export function wrapperExamples({ claims, options }: WrapperFixture): Arbitrary<WrapperExample> {
  return fc.record({
    shape: shapes({ parameters: claims.parameters ?? 'any', largest: 6 }),
    rule: fc.constantFrom<WrappedName>('gradient', 'momentum', 'crowded'),
    options,
    seed: fc.nat({ max: 9999 }),
  });
}

/** A few roundings. */
export const CLOSE: number = 64 * EPSILON32;

const STEPS = 5;

/** Gradients of normal numbers; those of later steps are of other sizes. */
export function streamOf(
  { shape, seed }: Pick<WrapperExample, 'shape' | 'seed'>,
  steps: number = STEPS,
): Float32Array[] {
  return Array.from({ length: steps }, (_, t) => {
    const size = 2 ** ((seed + 3 * t) % 5);
    return randomNormals(randomKey(seed, 'gradient', t), sizeOf(shape)).map(x => x * size);
  });
}

/** A wrapped rule that can be stepped by itself. */
export function wrapped({ create }: WrapperFixture, rule: Rule, options: unknown): PlainRule {
  const made = create(rule, options);
  if (made?.type === rule.type && made.type !== 'subspace') return made;
  throw new BrokenLaw(`around a rule of type ${rule.type} it makes ${made?.type ?? made}, expected the same type`);
}

/** All steps of a fresh rule. */
export async function stepsOf(rule: PlainRule, shape: Shape, stream: readonly Float32Array[]): Promise<RuleStep[]> {
  const run = new RuleRun(rule, shape);
  const steps: RuleStep[] = [];
  for (const g of stream) steps.push(await run.step(g));
  return steps;
}

/** The same rule, whose slots and per-step numbers have names that no wrapper would think of. */
export function underOtherNames(rule: ExpressionRule): ExpressionRule {
  const to = (name: string): string => `within${name}`;
  const renamed = <T>(values: Readonly<Record<string, T>>): Record<string, T> =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [to(name), value]));
  const { scalars } = rule;
  return {
    type: 'expression',
    kind: rule.kind,
    options: rule.options,
    ...(rule.reads === undefined ? {} : { reads: rule.reads }),
    state: shape => renamed(rule.state(shape)),
    ...(scalars === undefined ? {} : { scalars: (t, shape) => renamed(scalars.call(rule, t, shape)) }),
    step: (x, shape) => {
      const own = [...Object.keys(rule.state(shape)), ...Object.keys(scalars?.call(rule, 1, shape) ?? {})];
      const inputs = Object.fromEntries([
        ...[...(rule.reads ?? []), 'g'].map(name => [name, x[name]!]),
        ...own.map(name => [name, x[to(name)]!]),
      ]);
      const { direction, ...next } = rule.step(inputs as typeof x, shape);
      return { ...renamed(next), direction: direction! };
    },
  };
}
