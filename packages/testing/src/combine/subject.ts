import { type Combine, interpret, type Shape, sizeOf, slotShape, traceCombine } from '@frugaljs/core';
import { tensor } from '@tensorflow/tfjs-core';
import fc, { type Arbitrary } from 'fast-check';
import { type Parameters, shapes } from '../arbitraries/shapes.js';
import { requireKnownClaims } from '../require-known-claims.js';
import { requireMade } from '../require-made.js';
import { free, valuesOf } from '../rule/rule-run.js';
import type { RunOptions } from '../run-laws.js';

/** What a factory of combines promises. */
export interface CombineClaims<Options> {
  /** Parameters it works on. Default `any`. */
  readonly parameters?: Parameters;
  /** Options to draw. Default: `{}` only. */
  readonly options?: Arbitrary<Options>;
  /** The direction is lifted + scale · (direction of the residual's rule). 0 for a combine that drops the residual. */
  readonly scale?: (options: Options) => number;
  /** The residual changes the direction also where only the subspace has entries. Default false. */
  readonly mixesParts?: boolean;
  /** apply(-inputs) = -apply(inputs). Default true. */
  readonly odd?: boolean;
}

export interface CombineLawOptions<Options> extends CombineClaims<Options>, RunOptions {
  /** How reports call it. Default: the kind. */
  readonly name?: string;
}

export type CombineFactory<Options> = (options: Options) => Combine;

/** A factory of combines under test. */
export interface CombineSubject {
  readonly create: (options: unknown) => Combine;
  readonly claims: CombineClaims<unknown>;
  readonly options: Arbitrary<unknown>;
  readonly kind: string;
  /** The first combine drawn. */
  readonly sample: Combine;
}

export function combineSubject<Options>(
  factory: CombineFactory<Options>,
  claims: CombineClaims<Options> = {},
): CombineSubject {
  requireKnownClaims('checkCombine', claims, ['parameters', 'options', 'scale', 'mixesParts', 'odd']);
  const options = (claims.options ?? fc.constant({})) as Arbitrary<unknown>;
  const create = factory as (options: unknown) => Combine;
  const [drawn] = fc.sample(options, { seed: 1, numRuns: 1 });
  const sample = requireMade('a combine', create(drawn), ['kind', 'options', 'state', 'apply']);
  return { create, claims: claims as CombineClaims<unknown>, options, kind: sample.kind, sample };
}

export interface CombineExample {
  readonly shape: Shape;
  readonly options: unknown;
  readonly seed: number;
}

export function combineExamples({ claims, options }: CombineSubject): Arbitrary<CombineExample> {
  return fc.record({
    shape: shapes({ parameters: claims.parameters ?? 'any', largest: 6 }),
    options,
    seed: fc.nat({ max: 9999 }),
  });
}

/** The four values that a combine reads, in the full space. */
export interface CombineValues {
  readonly g: Float32Array;
  readonly lifted: Float32Array;
  readonly residual: Float32Array;
  readonly residualDirection: Float32Array;
}

/** Steps a combine by hand. */
export class CombineRun {
  private slots: Record<string, Float32Array>;

  constructor(
    private readonly combine: Combine,
    private readonly shape: Shape,
  ) {
    this.slots = Object.fromEntries(
      Object.entries(combine.state(shape)).map(([name, { extent, initial = 0 }]) => [
        name,
        new Float32Array(sizeOf(slotShape(extent, shape))).fill(initial),
      ]),
    );
  }

  async apply(values: CombineValues): Promise<Float32Array> {
    const { combine, shape } = this;
    const specs = combine.state(shape);
    const inputs = Object.fromEntries([
      ...Object.entries(values).map(([name, x]) => [name, tensor(x, [...shape], 'float32')]),
      ...Object.entries(this.slots).map(([name, x]) => [
        name,
        tensor(x, [...slotShape(specs[name]!.extent, shape)], 'float32'),
      ]),
    ]);
    const outputs = interpret(traceCombine(combine, shape), inputs, {}, shape);
    const { direction, ...next } = await valuesOf(outputs);
    free(inputs);
    free(outputs);
    this.slots = next;
    return direction!;
  }
}
