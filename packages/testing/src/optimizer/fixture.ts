import type { Combine, OnRefresh, Projector, Refresh, RefreshEvent, Rule, Schedule, Shape } from '@frugaljs/core';
import {
  dispose,
  type NamedTensorMap,
  type Tensor,
  tensor,
  tidy,
  type Variable,
  variable,
} from '@tensorflow/tfjs-core';
import fc, { type Arbitrary } from 'fast-check';
import { type GradientStream, gradientAt, gradientStreams, startOf } from '../arbitraries/gradients.js';
import { requireAtMost } from '../law.js';

/** One tensor of saved state. */
export interface SavedTensor {
  readonly name: string;
  readonly tensor: Tensor;
}

/** An optimizer as the laws use it: that of `compose`, or one of your own with the same methods. */
export interface LawfulOptimizer {
  /** One update of the variables of these names; does not dispose the gradients. */
  applyGradients(gradients: NamedTensorMap): void;
  getWeights(): Promise<SavedTensor[]>;
  setWeights(weights: SavedTensor[]): Promise<void>;
  /**
   * Waits until nothing is read from the device any more. Optional: an optimizer that reads nothing back, or waits for it
   * in every call, has none.
   */
  settled?(): Promise<void>;
  dispose(): void;
}

export interface GroupSettings {
  readonly weightDecay?: number;
  readonly decay?: 'before' | 'after';
  readonly lrScale?: number;
  readonly decayInactive?: boolean;
}

interface Moments {
  readonly beta1?: number;
  readonly beta2?: number;
  readonly epsilon?: number;
}

type Density = { readonly density: number };

/**
 * The constructors that laws of optimizers build compositions from, so that the laws depend on no implementation of
 * them: pass those of `@frugaljs/composer`, `state-full`, `state-free` and `projectors`, or some of your own in their
 * place.
 */
export interface Algebra {
  compose(options: {
    readonly learningRate: number;
    readonly groups: readonly ({ readonly use: Rule } & GroupSettings)[];
    readonly seed?: number;
  }): LawfulOptimizer;
  subspace(options: {
    readonly projector: Projector;
    readonly rule: Rule;
    readonly combine?: Combine;
    readonly refresh?: Refresh;
    readonly onRefresh?: OnRefresh;
  }): Rule;
  drop(): Combine;
  residual(rule: Rule, options?: { readonly scale?: number; readonly tolerance?: number }): Combine;
  readonly rules: {
    adamW(options?: Moments): Rule;
    lion(options?: { readonly beta1?: number }): Rule;
    sgdm(options?: { readonly momentum?: number; readonly convention?: 'pytorch' | 'ema' }): Rule;
    sgd(): Rule;
    signSgd(): Rule;
    /** Adam with one second moment per block. Optional: without it and `adamMini` the law of such rules is left out. */
    adaLayer?(options?: Moments & { readonly per?: 'tensor' | 'row' | 'column' }): Rule;
    /** Likewise. */
    adamMini?(options?: Moments & { readonly block?: 'tensor' | 'row' | 'column' | 'element' }): Rule;
    /** Adam with moments per block of columns. Optional: with it, laws of kernels draw compositions with such state. */
    foam?(): Rule;
  };
  /** Combines that take measures or feed back. Optional: laws of them are left out without, and none are drawn. */
  readonly combines?: {
    scaledResidual(options?: { readonly factor?: number; readonly scale?: number; readonly share?: number }): Combine;
    scaledGradient(options?: { readonly per?: 'channel' | 'tensor'; readonly scale?: number }): Combine;
    feedback(): Combine;
  };
  /** What is done to the direction of a rule. Optional, likewise. */
  readonly wrappers?: {
    scaled(rule: Rule, factor: number): Rule;
    limitGrowth(rule: Rule, options?: { readonly factor?: number; readonly epsilon?: number }): Rule;
    biasCorrected(rule: Rule, options?: { readonly beta1?: number; readonly beta2?: number }): Rule;
    ema(rule: Rule, options?: { readonly beta?: number }): Rule;
    cautious(rule: Rule): Rule;
    normalized(rule: Rule): Rule;
  };
  /** Events that change when a subspace is refreshed. Optional, likewise. */
  readonly events?: {
    similarity(options: { readonly atLeast: number; readonly last: number }): RefreshEvent;
    energy(options: { readonly below: number; readonly check: number; readonly least: number }): RefreshEvent;
  };
  readonly projectors: {
    rows(options: Density): Projector;
    columns(options: Density): Projector;
    randK(options: Density): Projector;
    blockwise(options: Density & { readonly order?: 'ascending' | 'descending' | 'random' }): Projector;
    svd(options: Density): Projector;
    random(options: Density): Projector;
    dct(options: Density): Projector;
    identity(): Projector;
    /** A density by refresh. Optional, likewise. */
    varying?(create: (density: number) => Projector, density: Schedule): Projector;
    /** One whose basis is not orthonormal. Optional, likewise. */
    sketch?(options: Density): Projector;
    /** Indices or a basis per refresh. */
    given(
      options:
        | {
            readonly kind: 'rows' | 'columns' | 'randK';
            readonly indices: (name: string, refreshIndex: number) => number[];
          }
        | { readonly kind: 'right' | 'left'; readonly basis: (name: string, refreshIndex: number) => number[][] },
    ): Projector;
  };
}

/** Projectors whose residual is exact. */
export const COORDINATE = ['rows', 'columns', 'randK', 'blockwise'] as const;
/** Projectors onto linear combinations of coordinates. */
export const DENSE = ['svd', 'random', 'dct'] as const;

export type ProjectorName = (typeof COORDINATE)[number] | (typeof DENSE)[number];

/** A composition of one group. */
export function composed(
  algebra: Algebra,
  use: Rule,
  settings: GroupSettings = {},
  rate: number = RATE,
): LawfulOptimizer {
  return algebra.compose({ learningRate: rate, groups: [{ use, ...settings }], seed: 3 });
}

/** The learning rate of most laws. */
export const RATE = 0.05;
export const NEVER: { readonly every: number } = { every: Number.POSITIVE_INFINITY };

/** Values or gradients by name of the parameter. */
export type Values = Readonly<Record<string, Float32Array>>;

export interface FollowOptions {
  /** Default: those of the stream. Parameters left out get no gradient at that step. */
  readonly gradients?: (step: number) => Values;
  /** Default: those of the stream. */
  readonly start?: Values;
}

export function startValues(stream: GradientStream): Values {
  return mapShapes(stream, (name, shape) => startOf(stream, name, shape));
}

export function gradientValues(stream: GradientStream, step: number): Values {
  return mapShapes(stream, (name, shape) => gradientAt(stream, name, shape, step));
}

/** Makes the variables of a stream; the caller disposes them. */
export function makeVariables({ shapes }: GradientStream, start: Values): Variable[] {
  return Object.entries(shapes).map(([name, shape]) =>
    tidy(() => variable(tensor(start[name]!, [...shape], 'float32'), true, name)),
  );
}

/** Tensors of their own: the cpu backend keeps the array that a tensor is made of. The caller disposes them. */
export function gradientTensors({ shapes }: GradientStream, gradients: Values): NamedTensorMap {
  return Object.fromEntries(
    Object.entries(gradients).map(([name, g]) => [name, tensor(g.slice(), [...shapes[name]!], 'float32')]),
  );
}

/** Gives an optimizer the gradients of one step. */
export function applyStep(optimizer: LawfulOptimizer, stream: GradientStream, gradients: Values): void {
  const tensors = gradientTensors(stream, gradients);
  optimizer.applyGradients(tensors);
  dispose(tensors);
}

/** Disposes an optimizer after what it still reads: a tensor lives until it has been read. */
export async function end(optimizer: LawfulOptimizer | undefined): Promise<void> {
  await optimizer?.settled?.();
  optimizer?.dispose();
}

export async function valuesOf(variables: readonly Variable[]): Promise<Values> {
  const values = await Promise.all(variables.map(v => v.data<'float32'>()));
  return Object.fromEntries(variables.map(({ name }, i) => [name, values[i]!.slice()]));
}

/**
 * Runs an optimizer over a stream; returns the values after every step and disposes the optimizer.
 *
 * @param optimizer An optimizer, or a function that says which one takes a step.
 */
export async function follow(
  stream: GradientStream,
  optimizer: LawfulOptimizer | ((step: number) => LawfulOptimizer),
  { gradients = step => gradientValues(stream, step), start = startValues(stream) }: FollowOptions = {},
): Promise<Values[]> {
  const variables = makeVariables(stream, start);
  const path: Values[] = [];
  let current: LawfulOptimizer | undefined;
  try {
    for (let step = 0; step < stream.steps; step++) {
      const next = typeof optimizer === 'function' ? optimizer(step) : optimizer;
      if (next !== current) await end(current);
      current = next;
      applyStep(current, stream, gradients(step));
      path.push(await valuesOf(variables));
    }
  } finally {
    await end(current);
    dispose(variables);
  }
  return path;
}

/** Requires two paths to agree, relative to the largest value of each parameter; 0 means to the last bit. */
export function requireSamePath(
  what: string,
  found: readonly Values[],
  expected: readonly Values[],
  tolerance = 0,
): void {
  expected.forEach((values, step) => {
    for (const [name, x] of Object.entries(values)) {
      const scale = x.reduce((max, y) => Math.max(max, Math.abs(y)), 1e-30);
      let worst = 0;
      x.forEach((y, i) => {
        const error = Math.abs(found[step]![name]![i]! - y);
        if (!(error <= worst)) worst = error;
      });
      requireAtMost(`${what}: the largest difference in "${name}" after step ${step + 1}`, worst, tolerance * scale);
    }
  });
}

/** The stream with other parameters. */
export function withShapes(stream: GradientStream, shapes: Readonly<Record<string, Shape>>): GradientStream {
  return { ...stream, shapes };
}

function mapShapes({ shapes }: GradientStream, make: (name: string, shape: Shape) => Float32Array): Values {
  return Object.fromEntries(Object.entries(shapes).map(([name, shape]) => [name, make(name, shape)]));
}

/** What a run over several refreshes draws. */
export interface ScheduleExample {
  readonly stream: GradientStream;
  /** Updates between refreshes. */
  readonly every: number;
  readonly weightDecay: number;
  readonly seed: number;
}

export const scheduleExamples = (): Arbitrary<ScheduleExample> =>
  fc.record({
    stream: gradientStreams({ parameters: 2, smallest: 2, steps: 10 }),
    every: fc.integer({ min: 1, max: 5 }),
    weightDecay: fc.constantFrom(0.1, 0, 0.5),
    seed: fc.nat({ max: 9999 }),
  });

/** What a run of a reduction draws. */
export interface ReductionExample {
  readonly stream: GradientStream;
  readonly density: number;
  readonly every: number;
  readonly weightDecay: number;
  readonly seed: number;
}

export const reductionExamples = (): Arbitrary<ReductionExample> =>
  fc.record({
    stream: gradientStreams({ parameters: 2, smallest: 2 }),
    density: fc.constantFrom(0.5, 0.25, 0.75, 0, 1),
    every: fc.integer({ min: 1, max: 4 }),
    weightDecay: fc.constantFrom(0, 0.1),
    seed: fc.nat({ max: 9999 }),
  });

/** The first parameter of a stream alone. */
export function only(stream: GradientStream): { one: GradientStream; m: number; n: number } {
  const [m, n] = stream.shapes['a'] as [number, number];
  return { one: withShapes(stream, { a: [m, n] }), m, n };
}
