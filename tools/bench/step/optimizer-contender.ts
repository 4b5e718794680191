import { type ComposedOptimizer, compose } from '@frugaljs/composer';
import { dispose, type Optimizer, type Tensor, train, type Variable } from '@tensorflow/tfjs-core';
import { peakBytes } from '../peak-bytes.js';
import { COMPOSITIONS, type CompositionName } from './compositions.js';
import type { Contender } from './contender.js';
import type { Workload } from './workload.js';

type Timer = (work: () => void) => number | Promise<number>;

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
export function tfjsContender(backend: string, method: TfjsMethod, workload: Workload, timer: Timer): Contender {
  const { create, stateBytes } = TFJS[method];
  return contender(backend, method, workload, timer, create(), {
    bytes: () => workload.params * (PARAMETER_BYTES + 2 * stateBytes),
    kernels: () => 'tfjs operations',
  });
}

/** A composition at work, with the default options of `compose`. */
export function composedContender(
  backend: string,
  method: CompositionName,
  workload: Workload,
  timer: Timer,
): Contender {
  const optimizer = compose({ learningRate: RATE, groups: [{ use: COMPOSITIONS[method]() }] });
  return contender(backend, method, workload, timer, optimizer, {
    bytes: variables => workload.params * PARAMETER_BYTES + stateTraffic(optimizer, variables),
    kernels: () => [...new Set(optimizer.explain().map(({ kernel }) => kernel))].join('; '),
  });
}

/** State is read and written, and what describes the subspace (index lists, basis) is read. */
function stateTraffic(optimizer: ComposedOptimizer, variables: readonly Variable[]): number {
  return optimizer.memoryReport(variables).reduce((sum, row) => sum + 2 * row.slotBytes + row.basisBytes, 0);
}

function contender(
  backend: string,
  method: string,
  workload: Workload,
  timer: Timer,
  optimizer: Optimizer,
  about: { bytes(variables: readonly Variable[]): number; kernels(): string },
): Contender {
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
