import { dispose, mul } from '@tensorflow/tfjs-core';
import { type BackendName, copyMemory } from '../backends.js';
import type { Contender } from './contender.js';
import type { Workload } from './workload.js';

/** What AdamW works on: parameter, gradient and two moments. */
const BUFFERS = 4;
const BYTES_PER_VALUE = 4;

/**
 * A copy of buffers as large as parameters, gradients and two moments within the memory of a backend: what the memory
 * gives when nothing is computed. Each value is read once and written once.
 */
export function copyContender(
  backend: BackendName,
  workload: Workload,
  timer: (work: () => void) => number | Promise<number>,
): Contender {
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
