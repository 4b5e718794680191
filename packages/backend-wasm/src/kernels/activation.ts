import { UnsupportedBackendError } from '@frugaljs/core/errors';
import {
  Add,
  Elu,
  getKernel,
  LeakyRelu,
  type NamedAttrMap,
  Prelu,
  Relu,
  Relu6,
  Sigmoid,
  type TensorInfo,
} from '@tensorflow/tfjs-core';
import type { TensorHeap } from '../heap.js';

/** What a fused op of tfjs does with its result: `activation(result + bias)`. */
export interface Epilogue {
  /** Left out where the op adds it itself. */
  readonly bias?: TensorInfo | null | undefined;
  readonly activation?: string | null | undefined;
  readonly preluActivationWeights?: TensorInfo | null | undefined;
  readonly leakyreluAlpha?: number | undefined;
}

/**
 * The kernel of an activation; undefined for the linear one.
 * @param op What the error calls the op.
 * @throws UnsupportedBackendError
 */
export function activationKernel(op: string, activation: string | null | undefined): string | undefined {
  if (activation == null || activation === 'linear') return undefined;
  const kernel = KERNELS[activation];
  if (kernel === undefined) {
    throw new UnsupportedBackendError({
      parameter: `${op} activation`,
      found: activation,
      expected: `linear, ${Object.keys(KERNELS).join(', ')}`,
    });
  }
  return kernel;
}

const KERNELS: Readonly<Record<string, string>> = {
  relu: Relu,
  relu6: Relu6,
  elu: Elu,
  sigmoid: Sigmoid,
  leakyrelu: LeakyRelu,
  prelu: Prelu,
};

/**
 * Adds the bias to a result, which it uses up, and applies the activation.
 * @param kernel Of {@link activationKernel}, which is asked before the work is done.
 */
export function finish(
  heap: TensorHeap,
  result: TensorInfo,
  kernel: string | undefined,
  { bias, preluActivationWeights, leakyreluAlpha }: Epilogue,
): TensorInfo {
  const sum = bias == null ? result : applyKernel(heap, Add, result, { a: result, b: bias });
  if (kernel === undefined) return sum;
  const operands: Record<string, TensorInfo> = { x: sum };
  if (kernel === Prelu && preluActivationWeights != null) operands['alpha'] = preluActivationWeights;
  const options: NamedAttrMap = kernel === LeakyRelu ? { alpha: leakyreluAlpha ?? 0 } : {};
  return applyKernel(heap, kernel, sum, operands, options);
}

/** Runs another kernel on an intermediate result, which it uses up. */
function applyKernel(
  { backend }: TensorHeap,
  kernelName: string,
  intermediate: TensorInfo,
  inputs: Record<string, TensorInfo>,
  attrs: NamedAttrMap = {},
): TensorInfo {
  try {
    return getKernel(kernelName, 'wasm').kernelFunc({ inputs, attrs, backend }) as TensorInfo;
  } finally {
    backend.disposeData(intermediate.dataId);
  }
}
