import { FrugalError, type Rule, type Shape } from '@frugaljs/core';
import fc, { type Arbitrary } from 'fast-check';
import { type MatrixRecipe, matrixRecipes, matrixValues } from '../arbitraries/matrices.js';
import { type Parameters, shapes } from '../arbitraries/shapes.js';
import { requireKnownClaims } from '../require-known-claims.js';
import { requireMade } from '../require-made.js';
import type { RunOptions } from '../run-laws.js';
import { type PlainRule, plainRule } from './rule-run.js';

/** A rule for one entry, written down in plain numbers: d and the next state from g, the state and the step t ≥ 1. */
export interface Recursion {
  readonly initial: readonly number[];
  step(
    g: number,
    state: readonly number[],
    t: number,
  ): { readonly direction: number; readonly state: readonly number[] };
}

/** What a factory of rules promises. Every claim is tested; what is not claimed is not. */
export interface RuleClaims<Options> {
  /** Gradients it works on. Default `any`. It may still refuse one with a `FrugalError`. */
  readonly parameters?: Parameters;
  /** Options to draw. Default: `{}` only. */
  readonly options?: Arbitrary<Options>;
  /** d does not change when every gradient is multiplied by c > 0. */
  readonly scaleInvariant?: (options: Options) => boolean;
  /** Largest |dᵢ| at step t, whatever the gradients were. */
  readonly bound?: (t: number, options: Options) => number;
  /** The only values that entries of d take, such as -1, 0 and 1. */
  readonly values?: readonly number[];
  /** The first direction of an entry, from its gradient alone. */
  readonly firstStep?: (g: number, options: Options) => number;
  /** The rule in plain numbers, for a rule that treats every entry by itself. */
  readonly recursion?: (options: Options) => Recursion;
  /** Frobenius norm of d: at most this, or exactly this for a gradient without a zero row or column. */
  readonly norm?: { readonly of: (shape: Shape, options: Options) => number; readonly exact: boolean };
  /** Largest singular value of d. */
  readonly spectralNorm?: (shape: Shape, options: Options) => number;
  /** A factored second moment is exact when squares of gradients have rank one: a matrix then steps like a vector. */
  readonly rankOneExact?: boolean;
  /**
   * Which permutations of the gradient permute the direction. Default `rows and columns`; `entries` for element-wise
   * rules, `none` where blocks have places, as heads have.
   */
  readonly permutations?: 'entries' | 'rows and columns' | 'none';
  /** An entry whose gradient has always been 0 moves all the same, because entries are mixed (Muon). Default false. */
  readonly mixesEntries?: boolean;
  /** d(-G) = -d(G). Default true. */
  readonly odd?: boolean;
  /** Obeys the descent inequality of SGD, `gradient`, or of signSGD, `sign`. */
  readonly descent?: 'gradient' | 'sign';
}

export interface RuleLawOptions<Options> extends RuleClaims<Options>, RunOptions {
  /** How reports call it. Default: the kind. */
  readonly name?: string;
}

export type RuleFactory<Options> = (options: Options) => Rule;

/** A factory of rules under test. */
export interface RuleSubject {
  readonly create: (options: unknown) => PlainRule;
  readonly claims: RuleClaims<unknown>;
  readonly options: Arbitrary<unknown>;
  readonly kind: string;
}

const CLAIMS = [
  'parameters',
  'options',
  'scaleInvariant',
  'bound',
  'values',
  'firstStep',
  'recursion',
  'norm',
  'spectralNorm',
  'rankOneExact',
  'permutations',
  'mixesEntries',
  'odd',
  'descent',
];

export function ruleSubject<Options>(factory: RuleFactory<Options>, claims: RuleClaims<Options> = {}): RuleSubject {
  requireKnownClaims('checkRule', claims, CLAIMS);
  const options = (claims.options ?? fc.constant({})) as Arbitrary<unknown>;
  const create = (chosen: unknown): PlainRule => plainRule(factory(chosen as Options));
  const [drawn] = fc.sample(options, { seed: 1, numRuns: 1 });
  const { kind } = requireMade('a rule', create(drawn), ['kind', 'options', 'type', 'state', 'step']);
  return { create, claims: claims as RuleClaims<unknown>, options, kind };
}

/** Below this the weighted square of a gradient leaves the normal range of float32, and no formula holds any more. */
export const SMALLEST: number = 1e-14;

/** What one run of a law draws. */
export interface RuleExample {
  readonly shape: Shape;
  readonly options: unknown;
  readonly gradients: readonly MatrixRecipe[];
}

export function ruleExamples({ claims, options }: RuleSubject, steps = 5): Arbitrary<RuleExample> {
  return fc.record({
    shape: shapes({ parameters: claims.parameters ?? 'any', largest: 7 }),
    options,
    gradients: fc.array(matrixRecipes({ exponents: [0, 0, 0, -20, 20] }), { minLength: 1, maxLength: steps }),
  });
}

/** The rule and the gradients of an example; passes over one whose shape the rule refuses. */
export function prepared(
  { create }: RuleSubject,
  { shape, options, gradients }: RuleExample,
): { readonly rule: PlainRule; readonly shape: Shape; readonly stream: readonly Float32Array[] } {
  const rule = create(options);
  try {
    rule.state(shape);
  } catch (error) {
    if (error instanceof FrugalError) fc.pre(false);
    throw error;
  }
  const stream = gradients.map((recipe, t) => matrixValues(shape, { ...recipe, seed: recipe.seed + t }));
  return { rule, shape, stream: stream.map(g => g.map(x => (Math.abs(x) < SMALLEST ? 0 : x))) };
}
