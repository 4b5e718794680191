import {
  type Combine,
  type CombineSite,
  combineSite,
  interpret,
  randomKey,
  randomNormals,
  type Shape,
  sizeOf,
  slotShape,
  traceCombine,
  traceMeasures,
} from '@frugaljs/core';
import { type Tensor, tensor } from '@tensorflow/tfjs-core';
import fc, { type Arbitrary } from 'fast-check';
import { type Parameters, shapes } from '../arbitraries/gradients.js';
import { EPSILON32 } from '../law.js';
import { copiesOf, free, initialSlots, READ_RATE, readParameter } from '../rule/fixture.js';
import { type RunOptions, requireKnownClaims, requireMade } from '../run.js';

/** What a norm-growth limiter promises. */
export interface GrowthLimit {
  readonly factor: number;
  readonly epsilon: number;
}

/** What a factory of combines promises. */
export interface CombineClaims<Options> {
  /** Parameters it works on. Default `any`. */
  readonly parameters?: Parameters;
  /** Options to draw. Default: `{}` only. */
  readonly options?: Arbitrary<Options>;
  /** The direction is lifted + scale · (direction of the residual's rule). 0 for a combine that drops the residual. */
  readonly scale?: (options: Options) => number;
  /** The factor on the lifted direction, default 1; null for a combine that takes no step by it, so that none is complete. */
  readonly liftedScale?: ((options: Options) => number) | null;
  /** The residual changes the direction also where only the subspace has entries. Default false. */
  readonly mixesParts?: boolean;
  /** apply(-inputs) = -apply(inputs). Default true. */
  readonly odd?: boolean;
  /** measure(c · inputs) = c^degree · measure(inputs) for c > 0: 0 for ratios. Default: no such claim. */
  readonly measureDegree?: number;
  /** What is fed back is all that was not applied. Default true; it says something of combines that feed back. */
  readonly conserves?: boolean;
  /** What is added to the lifted direction grows by the factor at most. Null for options with which it may grow. */
  readonly limit?: (options: Options) => GrowthLimit | null;
}

export interface CombineLawOptions<Options> extends CombineClaims<Options>, RunOptions {
  /** How reports call it. Default: the kind. */
  readonly name?: string;
}

export type CombineFactory<Options> = (options: Options) => Combine;

/** A factory of combines under test. */
export interface CombineFixture {
  readonly create: (options: unknown) => Combine;
  readonly claims: CombineClaims<unknown>;
  readonly options: Arbitrary<unknown>;
  readonly kind: string;
  /** The first combine drawn. */
  readonly sample: Combine;
}

const CLAIMS = [
  'parameters',
  'options',
  'scale',
  'liftedScale',
  'mixesParts',
  'odd',
  'measureDegree',
  'conserves',
  'limit',
];

export function combineFixture<Options>(
  factory: CombineFactory<Options>,
  claims: CombineClaims<Options> = {},
): CombineFixture {
  requireKnownClaims('checkCombine', claims, CLAIMS);
  const options = (claims.options ?? fc.constant({})) as Arbitrary<unknown>;
  const create = factory as (options: unknown) => Combine;
  const [drawn] = fc.sample(options, { seed: 1, numRuns: 1 });
  const sample = requireMade('a combine', create(drawn), ['kind', 'options', 'state', 'apply']);
  return { create, claims: claims as CombineClaims<unknown>, options, kind: sample.kind, sample };
}

/** What one run of a law draws. */
export interface CombineExample {
  readonly shape: Shape;
  /** What the projector keeps, so what a measure has one number of. */
  readonly per: CombineSite['per'];
  readonly options: unknown;
  readonly seed: number;
}

export function combineExamples({ claims, options }: CombineFixture): Arbitrary<CombineExample> {
  return fc.record({
    shape: shapes({ parameters: claims.parameters ?? 'any', largest: 6 }),
    per: fc.constantFrom('row' as const, 'column' as const, 'tensor' as const),
    options,
    seed: fc.nat({ max: 9999 }),
  });
}

/** Makes the combine of an example, ready to step. */
export function runOf({ create }: CombineFixture, { shape, per, options }: CombineExample): CombineRun {
  return new CombineRun(create(options), shape, per);
}

/** A few roundings. */
export const CLOSE: number = 32 * EPSILON32;

export const normals = (shape: Shape, seed: number, label: string): Float32Array =>
  randomNormals(randomKey(seed, label), sizeOf(shape));

/** What there is in the subspace. */
export interface Within {
  readonly shape: Shape;
  readonly low: Float32Array;
  readonly lowDirection: Float32Array;
}

/** What a combine reads, in the full space. Directions that are left out are zeros. */
export interface CombineValues {
  readonly g: Float32Array;
  readonly lifted?: Float32Array;
  readonly residual?: Float32Array;
  readonly residualDirection?: Float32Array;
  /**
   * What is measured; null for a subspace that has nothing of the parameter. Default: a subspace of everything, with the
   * gradient and the lifted direction in it.
   */
  readonly within?: Within | null;
}

/** Steps a combine by hand: the least that measures for it, keeps its state and counts its steps. */
export class CombineRun {
  /** The state as it is now. */
  slots: Record<string, Float32Array>;
  private readonly site: CombineSite;
  private t = 0;

  constructor(
    private readonly combine: Combine,
    private readonly shape: Shape,
    per: CombineSite['per'] = 'tensor',
  ) {
    this.slots = initialSlots(combine.state(shape), shape);
    this.site = combineSite(shape, per);
  }

  async apply(values: CombineValues): Promise<Float32Array> {
    const { combine, shape, site } = this;
    this.t++;
    const zeros = new Float32Array(sizeOf(shape));
    const { g, lifted = zeros, residual = zeros, residualDirection = zeros } = values;
    const { within = { shape, low: g, lowDirection: lifted } } = values;
    const specs = combine.state(shape);
    const inputs: Record<string, Tensor> = Object.fromEntries([
      ...Object.entries({ g, lifted, residual, residualDirection }).map(([name, x]) => [name, ofShape(x, shape)]),
      ...Object.entries(this.slots).map(([name, x]) => [name, ofShape(x, slotShape(specs[name]!.extent, shape))]),
      ...Object.entries(await this.measured(within)).map(([name, { of, values: x }]) => [name, ofShape(x, of)]),
    ]);
    if (combine.reads?.includes('parameter')) inputs['parameter'] = ofShape(readParameter(shape), shape);
    const scalars = { ...combine.scalars?.(this.t, shape), learningRate: READ_RATE };
    const outputs = interpret(traceCombine(combine, shape, site), inputs, scalars, shape);
    const { direction, ...next } = await copiesOf(outputs);
    free(inputs);
    free(outputs);
    this.slots = next;
    return direction!;
  }

  /** What the combine measures, by name, with the shape in the full space. */
  async measured(
    within: Within | null,
  ): Promise<Readonly<Record<string, { readonly of: Shape; readonly values: Float32Array }>>> {
    const graph = traceMeasures(this.combine, this.site);
    if (graph === null) return {};
    const shapeOf = (name: string): Shape => slotShape(graph.outputs[name]!.extent, this.shape);
    if (within === null) {
      const nothing = (name: string): Float32Array => new Float32Array(sizeOf(shapeOf(name)));
      return Object.fromEntries(
        Object.keys(graph.outputs).map(name => [name, { of: shapeOf(name), values: nothing(name) }]),
      );
    }
    const { low, lowDirection, shape } = within;
    const inputs = { low: ofShape(low, shape), lowDirection: ofShape(lowDirection, shape) };
    const outputs = interpret(graph, inputs, {}, shape);
    const values = await copiesOf(outputs);
    free(inputs);
    free(outputs);
    return Object.fromEntries(Object.keys(values).map(name => [name, { of: shapeOf(name), values: values[name]! }]));
  }
}

function ofShape(x: Float32Array, shape: Shape): Tensor {
  return tensor(x.slice(), [...shape], 'float32');
}
