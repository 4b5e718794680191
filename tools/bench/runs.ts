// What a step is measured of: parameters, and the methods that update them.
import {
  type ComposedOptimizer,
  compose,
  limitGrowth,
  residual,
  scaledGradient,
  scaledResidual,
  subspace,
} from '@frugaljs/composer';
import { type ExpressionRule, expressionRule, type Projector, type Rule, soleSite } from '@frugaljs/core';
import { blockwise, columns, randK, random, rows, sketch, svd } from '@frugaljs/projectors';
import { normalizedSgd, signSgd } from '@frugaljs/state-free';
import { adamW, foam, lion } from '@frugaljs/state-full';
import {
  dispose,
  matMul,
  mul,
  type Optimizer,
  randomNormal,
  type Tensor,
  type Tensor2D,
  tidy,
  train,
  transpose,
  type Variable,
  variable,
} from '@tensorflow/tfjs-core';
import { type BackendName, copyMemory } from './backends.js';
import { peakBytes, type Timed } from './measure.js';

/** One method on one backend. */
export interface Run extends Timed {
  readonly backend: string;
  readonly method: string;
  /** Parameters that a step updates. */
  readonly params: number;
  /** Bytes that a step reads and writes at the least; null where products of matrices and not memory set the pace. */
  bytes(): number | null;
  /** What runs the step. */
  kernels(): string;
  /** Peak of the temporaries of a step; null when that cannot be known. */
  peakBytes(): number | null;
  dispose(): void;
}

/** Takes the time of work, in milliseconds. */
export type Timer = (work: () => void) => number | Promise<number>;

/** Square matrices to train: gradients that all methods share, and fresh variables for each method. */
export class Workload {
  readonly gradients: readonly Tensor2D[];
  private readonly initial: Tensor2D;
  private made = 0;

  constructor(
    readonly matrices: number,
    readonly size: number,
  ) {
    const shape: [number, number] = [size, size];
    this.initial = randomNormal(shape, 0, 0.02, 'float32', 1);
    const base: Tensor2D = randomNormal(shape, 0, 1, 'float32', 2);
    // Different buffers with values of a similar size; drawing all at random would take longer than measuring.
    this.gradients = Array.from({ length: matrices }, (_, i) => mul<Tensor2D>(base, i % 2 === 0 ? 1 + i : -1 - i));
    base.dispose();
  }

  /** Parameters in all matrices together. */
  get params(): number {
    return this.matrices * this.size * this.size;
  }

  /** Variables that nobody else trains; the caller disposes them. */
  variables(): Variable[] {
    this.made += 1;
    return Array.from({ length: this.matrices }, (_, i) =>
      tidy(() => variable(mul(this.initial, 1), true, `method ${this.made}/layers.${i}.weight`)),
    );
  }

  dispose(): void {
    dispose([this.initial, ...this.gradients]);
  }
}

/** The share of every parameter that has state. */
const DENSITY = 0.25;
/** Steps are timed between refreshes; choosing a subspace is timed by itself. */
const refresh = { every: Number.POSITIVE_INFINITY };

const frugal = (projector: Projector): Rule =>
  subspace({ projector, rule: adamW(), combine: residual(signSgd()), refresh });

const fira = (projector: Projector): Rule =>
  subspace({ projector, rule: adamW(), combine: scaledResidual(), refresh, onRefresh: 'keep' });

const apollo = (projector: Projector): Rule =>
  limitGrowth(subspace({ projector, rule: adamW(), combine: scaledGradient(), refresh, onRefresh: 'keep' }));

/** The compositions that are measured, by the name of the method. */
export const COMPOSITIONS = {
  adamW: () => adamW(),
  lion: () => lion(),
  signSgd: () => signSgd(),
  'frugal-blockwise': () => frugal(blockwise({ density: DENSITY })),
  'frugal-rows': () => frugal(rows({ density: DENSITY })),
  'frugal-columns': () => frugal(columns({ density: DENSITY })),
  'frugal-randK': () => frugal(randK({ density: DENSITY })),
  'frugal-svd': () => frugal(svd({ density: DENSITY })),
  'fira-rows': () => fira(rows({ density: DENSITY })),
  'fira-random': () => fira(random({ density: DENSITY })),
  'apollo-rows': () => apollo(rows({ density: DENSITY })),
  'apollo-random': () => apollo(sketch({ density: DENSITY })),
  foam: () => foam(),
  'scale-rows': () => normalizedSgd({ per: 'row', norm: 'rms' }),
  'nested-rows': () => {
    const second = subspace({
      projector: rows({ density: DENSITY }),
      rule: lion(),
      combine: residual(signSgd()),
      refresh,
    });
    return subspace({ projector: rows({ density: DENSITY }), rule: adamW(), combine: residual(second), refresh });
  },
  'custom-rule': () => customRule(),
} satisfies Record<string, () => Rule>;

export type CompositionName = keyof typeof COMPOSITIONS;

const BETA1 = 0.9;
const BETA2 = 0.999;
const EPSILON = 1e-8;

/** AdamW as a user of the library would write it down: the graph of the built-in rule, but not its code. */
function customRule(): ExpressionRule<'mean' | 'square'> {
  return expressionRule({
    kind: 'bench/customRule',
    options: {},
    state: () => ({ mean: { extent: 'element' }, square: { extent: 'element', degree: 2 } }),
    scalars: t => ({ rise: 1 / (1 - BETA1 ** t), spread: 1 / Math.sqrt(1 - BETA2 ** t) }),
    step: ({ g, mean, square, rise, spread }) => {
      const nextMean = mean.mul(BETA1).add(g.mul(1 - BETA1));
      const nextSquare = square.mul(BETA2).add(g.square().mul(1 - BETA2));
      const root = nextSquare.sqrt().mul(spread).add(EPSILON);
      return { direction: nextMean.mul(rise.div(root)), mean: nextMean, square: nextSquare };
    },
  });
}

const RATE = 1e-3;
/** Every method reads parameter and gradient and writes the parameter. */
const PARAMETER_BYTES = 12;

/** tfjs's own optimizers and the bytes of state they have per parameter. */
const TFJS = {
  'tf.train.adam': { create: () => train.adam(RATE), stateBytes: 8 },
  'tf.train.sgd': { create: () => train.sgd(RATE), stateBytes: 0 },
} as const;

export type TfjsMethod = keyof typeof TFJS;

export const TFJS_METHODS: readonly TfjsMethod[] = Object.keys(TFJS) as TfjsMethod[];

/** An optimizer of tfjs at work. */
export function tfjsRun(backend: string, method: TfjsMethod, workload: Workload, timer: Timer): Run {
  const { create, stateBytes } = TFJS[method];
  return run(backend, method, workload, timer, create(), {
    bytes: () => workload.params * (PARAMETER_BYTES + 2 * stateBytes),
    kernels: () => 'tfjs operations',
  });
}

/** A composition at work, with the default options of `compose`. */
export function composedRun(backend: string, method: CompositionName, workload: Workload, timer: Timer): Run {
  const optimizer = compose({ learningRate: RATE, groups: [{ use: COMPOSITIONS[method]() }] });
  return run(backend, method, workload, timer, optimizer, {
    bytes: variables => workload.params * PARAMETER_BYTES + stateTraffic(optimizer, variables),
    kernels: () => [...new Set(optimizer.explain().map(({ kernel }) => kernel))].join('; '),
  });
}

/** State is read and written, and what describes the subspace (index lists, basis) is read. */
function stateTraffic(optimizer: ComposedOptimizer, variables: readonly Variable[]): number {
  return optimizer.memoryReport(variables).reduce((sum, row) => sum + 2 * row.slotBytes + row.basisBytes, 0);
}

function run(
  backend: string,
  method: string,
  workload: Workload,
  timer: Timer,
  optimizer: Optimizer,
  about: { bytes(variables: readonly Variable[]): number; kernels(): string },
): Run {
  const variables = workload.variables();
  const gradients: Record<string, Tensor> = Object.fromEntries(
    variables.map(({ name }, i) => [name, workload.gradients[i]!]),
  );
  const step = (): void => optimizer.applyGradients(gradients);
  return {
    backend,
    method,
    params: workload.params,
    time: () => timer(step),
    bytes: () => about.bytes(variables),
    kernels: about.kernels,
    peakBytes: () => peakBytes(step),
    dispose: () => {
      optimizer.dispose();
      dispose(variables);
    },
  };
}

/** What AdamW works on: parameter, gradient and two moments. */
const BUFFERS = 4;
const BYTES_PER_VALUE = 4;

/**
 * A copy of buffers as large as parameters, gradients and two moments within the memory of a backend: what the memory
 * gives when nothing is computed. Each value is read once and written once.
 */
export function copyRun(backend: BackendName, workload: Workload, timer: Timer): Run {
  const count = BUFFERS * workload.matrices;
  const buffers = (): ReturnType<typeof mul>[] =>
    Array.from({ length: count }, (_, i) => mul(workload.gradients[i % workload.matrices]!, 1));
  const [from, to] = [buffers(), buffers()];
  return {
    backend,
    method: 'copy',
    params: workload.params,
    time: () => timer(() => copyMemory(backend, from, to)),
    bytes: () => 2 * BUFFERS * BYTES_PER_VALUE * workload.params,
    kernels: () => 'memory copy',
    peakBytes: () => 0,
    dispose: () => dispose([from, to]),
  };
}

/** What is multiplied in a step with a dense projector. */
export const PRODUCTS = {
  'svd-products': { projector: () => svd({ density: DENSITY }), lifts: true },
  'random-products': { projector: () => random({ density: DENSITY }), lifts: true },
  'sketch-products': { projector: () => sketch({ density: DENSITY }), lifts: false },
} satisfies Record<string, { projector: () => Projector; lifts: boolean }>;

export type ProductName = keyof typeof PRODUCTS;

/**
 * The matrix products of a step with a dense projector and nothing else: the gradient down to the subspace, then, where a
 * step lifts them, the projection and the direction up again. Of a square matrix the columns are projected.
 */
export function productsRun(backend: string, method: ProductName, workload: Workload, timer: Timer): Run {
  const { size, gradients } = workload;
  const { lifts } = PRODUCTS[method];
  const projector: Projector = PRODUCTS[method].projector();
  const site = soleSite('products', [size, size]);
  const parts = tidy(() => {
    const right = projector.fit(gradients[0]!, null, { site, refreshIndex: 0 })['right'] as Tensor2D;
    // Every parameter has tensors of its own, as in training.
    return gradients.map(g => {
      const basis = mul<Tensor2D>(right, 1);
      return { g, basis, transposed: transpose(basis) as Tensor2D, direction: matMul<Tensor2D>(g, basis) };
    });
  });
  const products = (): void => {
    for (const { g, basis, transposed, direction } of parts) {
      tidy(() => {
        const low = matMul<Tensor2D>(g, basis);
        if (!lifts) return;
        matMul(low, transposed);
        matMul(direction, transposed);
      });
    }
  };
  return {
    backend,
    method,
    params: workload.params,
    time: () => timer(products),
    bytes: () => null,
    kernels: () => 'matMul alone',
    peakBytes: () => peakBytes(products),
    dispose: () => dispose(parts.map(({ basis, transposed, direction }) => [basis, transposed, direction])),
  };
}
