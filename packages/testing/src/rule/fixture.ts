import {
  type ExpressionRule,
  FrugalError,
  type Graph,
  interpret,
  type Rule,
  type Shape,
  sizeOf,
  slotShape,
  type TensorRule,
  type TensorSlotSpec,
  traceAverage,
  traceRule,
} from '@frugaljs/core';
import { dispose, type Tensor, tensor, tidy } from '@tensorflow/tfjs-core';
import fc, { type Arbitrary } from 'fast-check';
import { type MatrixRecipe, matrixRecipes, matrixValues, type Parameters, shapes } from '../arbitraries/gradients.js';
import { EPSILON32 } from '../law.js';
import { type RunOptions, requireKnownClaims, requireMade } from '../run.js';

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
   * rules, `rows` where columns form blocks, `none` where rows have places, too, as heads have.
   */
  readonly permutations?: 'entries' | 'rows and columns' | 'rows' | 'none';
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
export interface RuleFixture {
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

export function ruleFixture<Options>(factory: RuleFactory<Options>, claims: RuleClaims<Options> = {}): RuleFixture {
  requireKnownClaims('checkRule', claims, CLAIMS);
  const options = (claims.options ?? fc.constant({})) as Arbitrary<unknown>;
  const create = (chosen: unknown): PlainRule => plainRule(factory(chosen as Options));
  const [drawn] = fc.sample(options, { seed: 1, numRuns: 1 });
  const { kind } = requireMade('a rule', create(drawn), ['kind', 'options', 'type', 'state', 'step']);
  return { create, claims: claims as RuleClaims<unknown>, options, kind };
}

/** A rule that can be stepped by itself. */
export type PlainRule = ExpressionRule | TensorRule;

/** Narrows a rule to one that can be stepped by itself. */
function plainRule(rule: Rule): PlainRule {
  if (rule?.type === 'subspace') {
    throw new TypeError('A subspace rule needs a composition; try it with the laws of optimizers.');
  }
  return rule;
}

/** Why a law of a claim says nothing. */
export const unlessClaimed =
  (claim: keyof RuleFixture['claims']) =>
  ({ claims }: RuleFixture): string | null =>
    claims[claim] === undefined ? `no claim ${claim}` : null;

/** A few roundings, relative to the numbers compared. */
export const CLOSE: number = 64 * EPSILON32;

/** Below this the weighted square of a gradient leaves the normal range of float32, and no formula holds any more. */
export const SMALLEST: number = 1e-14;

/** What one run of a law draws. */
export interface RuleExample {
  readonly shape: Shape;
  readonly options: unknown;
  readonly gradients: readonly MatrixRecipe[];
}

export function ruleExamples({ claims, options }: RuleFixture, steps = 5): Arbitrary<RuleExample> {
  return fc.record({
    shape: shapes({ parameters: claims.parameters ?? 'any', largest: 7 }),
    options,
    gradients: fc.array(matrixRecipes({ exponents: [0, 0, 0, -20, 20] }), { minLength: 1, maxLength: steps }),
  });
}

/** The rule and the gradients of an example; passes over one whose shape the rule refuses. */
export function prepared(
  { create }: RuleFixture,
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

/** What a rule returned in one step. */
export interface RuleStep {
  readonly direction: Float32Array;
  readonly slots: Readonly<Record<string, Float32Array>>;
  /** Shapes of all results, by name. */
  readonly shapes: Readonly<Record<string, Shape>>;
}

/** Steps a rule by hand: the least that keeps its state and counts its steps. Numbers go in and come out. */
export class RuleRun {
  readonly specs: Readonly<Record<string, TensorSlotSpec>>;
  private readonly graph: Graph | null;
  private slots: Record<string, Float32Array>;
  private t = 0;

  constructor(
    private readonly rule: PlainRule,
    private readonly shape: Shape,
  ) {
    this.graph = rule.type === 'expression' ? traceRule(rule, shape) : null;
    this.specs = rule.state(shape);
    this.slots = initialSlots(this.specs, shape);
  }

  /** State that another run reached, as loading a checkpoint would set it. */
  resume(slots: Readonly<Record<string, Float32Array>>, t: number): void {
    this.slots = { ...slots };
    this.t = t;
  }

  async step(gradient: ArrayLike<number>, parameter?: ArrayLike<number>): Promise<RuleStep> {
    this.t++;
    const { inputs, scalars } = this.arguments(gradient, parameter);
    const outputs = this.call(inputs, scalars);
    const { direction, ...slots } = await copiesOf(outputs);
    const shapes = Object.fromEntries(Object.entries(outputs).map(([name, x]) => [name, x.shape]));
    free(inputs);
    free(outputs);
    this.slots = slots;
    return { direction: direction!, slots, shapes };
  }

  /** The average of the weights that the rule keeps; null if it keeps none. */
  async average(parameter: ArrayLike<number>): Promise<Float32Array | null> {
    const { rule, shape } = this;
    const graph = traceAverage(rule, shape);
    if (graph === null) return null;
    const { g, ...slots } = this.arguments(parameter, parameter).inputs;
    const outputs = interpret(graph, { ...slots, parameter: g! }, {}, shape);
    const { weights } = await copiesOf(outputs);
    free(outputs);
    free({ ...slots, g: g! });
    return weights!;
  }

  /** The tensors and numbers of the next step. */
  arguments(
    gradient: ArrayLike<number>,
    parameter?: ArrayLike<number>,
  ): { inputs: Record<string, Tensor>; scalars: Readonly<Record<string, number>> } {
    const { rule, shape } = this;
    const toTensor = (x: ArrayLike<number>, of: Shape): Tensor => tensor(Float32Array.from(x), [...of], 'float32');
    const inputs: Record<string, Tensor> = { g: toTensor(gradient, shape) };
    for (const [name, { extent }] of Object.entries(this.specs)) {
      inputs[name] = toTensor(this.slots[name]!, slotShape(extent, shape));
    }
    if (rule.reads?.includes('parameter')) {
      inputs['parameter'] = toTensor(parameter ?? readParameter(shape), shape);
    }
    return { inputs, scalars: { ...rule.scalars?.(Math.max(1, this.t), shape), learningRate: READ_RATE } };
  }

  /** One call of the rule, which owns nothing it returns. */
  call(inputs: Record<string, Tensor>, scalars: Readonly<Record<string, number>>): Record<string, Tensor> {
    const { rule, shape, graph } = this;
    if (rule.type === 'expression') return interpret(graph!, inputs, scalars, shape);
    return tidy(() => ({ ...rule.step(inputs as Record<string, Tensor> & { g: Tensor }, scalars, shape) }));
  }
}

/** What parts read that read the learning rate. */
export const READ_RATE = 0.1;

/** What parts read that read the parameter. */
export function readParameter(shape: Shape): Float32Array {
  return new Float32Array(sizeOf(shape)).fill(1);
}

/** The values that slots start from. */
export function initialSlots(
  specs: Readonly<Record<string, TensorSlotSpec>>,
  shape: Shape,
): Record<string, Float32Array> {
  return Object.fromEntries(
    Object.entries(specs).map(([name, { extent, initial = 0 }]) => [
      name,
      new Float32Array(sizeOf(slotShape(extent, shape))).fill(initial),
    ]),
  );
}

/** The directions of a fresh rule for a list of gradients. */
export async function directionsOf(
  rule: PlainRule,
  shape: Shape,
  gradients: readonly ArrayLike<number>[],
): Promise<Float32Array[]> {
  const run = new RuleRun(rule, shape);
  const directions: Float32Array[] = [];
  for (const gradient of gradients) directions.push((await run.step(gradient)).direction);
  return directions;
}

/** Copies of the entries of float32 tensors, by name. */
export async function copiesOf(tensors: Readonly<Record<string, Tensor>>): Promise<Record<string, Float32Array>> {
  const entries = Object.entries(tensors).map(
    async ([name, x]): Promise<[string, Float32Array]> => [name, (await x.data<'float32'>()).slice()],
  );
  return Object.fromEntries(await Promise.all(entries));
}

/** Frees a record of tensors. */
export function free(tensors: Readonly<Record<string, Tensor>>): void {
  dispose(Object.values(tensors));
}
