import '@tensorflow/tfjs-backend-wasm';
import { getKernel, type KernelConfig, registerKernel, unregisterKernel } from '@tensorflow/tfjs-core';
import { guardWasmHeap } from './heap-guard.js';
import { batchMatMul } from './kernels/batch-mat-mul.js';
import { cast } from './kernels/cast.js';
import { concat } from './kernels/concat.js';
import { exp } from './kernels/exp.js';
import { fusedMatMul } from './kernels/fused-mat-mul.js';
import { gather } from './kernels/gather.js';
import { identity } from './kernels/identity.js';
import { pad } from './kernels/pad.js';
import { scatter } from './kernels/scatter.js';
import { slice } from './kernels/slice.js';
import { split } from './kernels/split.js';
import { mean, sum } from './kernels/sum.js';
import { transpose } from './kernels/transpose.js';
import { unsortedSegmentSum } from './kernels/unsorted-segment-sum.js';
import type { Replacement } from './replacement.js';

const replacements: readonly Replacement[] = [
  batchMatMul,
  cast,
  concat,
  exp,
  fusedMatMul,
  gather,
  identity,
  mean,
  pad,
  scatter,
  slice,
  split,
  sum,
  transpose,
  unsortedSegmentSum,
];

interface Registered {
  readonly original: KernelConfig | undefined;
  readonly own: KernelConfig;
}

const registered = new Map<string, Registered>();

/** Names of the kernels that this package brings, as tfjs names them. */
export const trainingKernelNames: readonly string[] = replacements.map(({ kernelName }) => kernelName);

/**
 * Registers the kernels of this package for tfjs's backend "wasm". May be called before or after the backend starts,
 * and again: a kernel that is in place stays, one that somebody else has replaced since is taken over again. A full heap
 * is an error from then on, see {@link guardWasmHeap}.
 *
 * @param names Kernels to register, of {@link trainingKernelNames}; by default all.
 */
export function registerTrainingKernels(names: readonly string[] = trainingKernelNames): void {
  for (const { kernelName, configure } of replacements) {
    if (!names.includes(kernelName)) continue;
    const current = getKernel(kernelName, 'wasm');
    if (current !== undefined && current === registered.get(kernelName)?.own) continue;
    const own = configure(current);
    replace(kernelName, own);
    registered.set(kernelName, { original: current, own });
  }
  // A backend that starts later is guarded as its kernels are set up.
  guardWasmHeap();
}

/** Puts tfjs's own kernels back, for comparison. */
export function restoreTfjsKernels(): void {
  for (const [kernelName, { original, own }] of registered) {
    if (getKernel(kernelName, 'wasm') === own) replace(kernelName, original);
  }
  registered.clear();
}

function replace(kernelName: string, config: KernelConfig | undefined): void {
  // Registering over an existing kernel would print a warning.
  if (getKernel(kernelName, 'wasm') !== undefined) unregisterKernel(kernelName, 'wasm');
  if (config !== undefined) registerKernel(config);
}
