import '@tensorflow/tfjs-backend-wasm';
import { getKernel, type KernelConfig, registerKernel, unregisterKernel } from '@tensorflow/tfjs-core';
import { guardWasmHeap } from './heap-guard.js';
import { conv2D, conv2DBackpropFilter, conv2DBackpropInput, fusedConv2D } from './kernels/convolution.js';
import { conv3D, conv3DBackpropFilter, conv3DBackpropInput } from './kernels/convolution-3d.js';
import { cast, concat, identity, pad, slice, split, tile, transpose } from './kernels/copies.js';
import {
  depthwiseConv2D,
  depthwiseConv2DBackpropFilter,
  depthwiseConv2DBackpropInput,
  fusedDepthwiseConv2D,
} from './kernels/depthwise.js';
import { exp } from './kernels/exp.js';
import { gather, scatter, unsortedSegmentSum } from './kernels/gather.js';
import { batchMatMul, fusedMatMul } from './kernels/mat-mul.js';
import { avgPool, avgPool3DGrad, avgPoolGrad } from './kernels/pooling.js';
import type { Replacement } from './kernels/replacement.js';
import { mean, sum } from './kernels/sums.js';
import { keepRethrowersOut } from './rethrowers.js';

const replacements: readonly Replacement[] = [
  avgPool,
  avgPool3DGrad,
  avgPoolGrad,
  batchMatMul,
  cast,
  concat,
  conv2D,
  conv2DBackpropFilter,
  conv2DBackpropInput,
  conv3D,
  conv3DBackpropFilter,
  conv3DBackpropInput,
  depthwiseConv2D,
  depthwiseConv2DBackpropFilter,
  depthwiseConv2DBackpropInput,
  exp,
  fusedConv2D,
  fusedDepthwiseConv2D,
  fusedMatMul,
  gather,
  identity,
  mean,
  pad,
  scatter,
  slice,
  split,
  sum,
  tile,
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
  keepRethrowersOut();
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
