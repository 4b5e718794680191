import { UnsupportedBackendError } from '@frugaljs/core/errors';
import {
  _FusedMatMul,
  type _FusedMatMulAttrs,
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
import { type Replacement, replacement } from '../replacement.js';
import { batchProduct } from './batch-product.js';

const activationKernels: Readonly<Record<string, string>> = {
  relu: Relu,
  relu6: Relu6,
  elu: Elu,
  sigmoid: Sigmoid,
  leakyrelu: LeakyRelu,
  prelu: Prelu,
};

interface FusedInputs {
  readonly a: TensorInfo;
  readonly b: TensorInfo;
  readonly bias?: TensorInfo | null;
  readonly preluActivationWeights?: TensorInfo | null;
}

/** `fused.matMul`, the product of dense layers: `activation(a·b + bias)`. */
export const fusedMatMul: Replacement = replacement<FusedInputs, _FusedMatMulAttrs>(
  _FusedMatMul,
  ({ inputs: { a, b, bias, preluActivationWeights }, attrs, heap }) => {
    const { transposeA, transposeB, activation, leakyreluAlpha } = attrs;
    const activationKernel = findActivation(activation);
    const columns = b.shape[b.shape.length - (transposeB ? 2 : 1)];
    const rowBias = bias?.shape.length === 1 && bias.shape[0] === columns ? bias : undefined;
    let result = batchProduct(heap, { a, b, transposeA, transposeB, bias: rowBias });
    if (bias != null && rowBias === undefined) result = applyKernel(heap, Add, result, { a: result, b: bias });
    if (activationKernel === undefined) return result;
    const operands: Record<string, TensorInfo> = { x: result };
    if (activationKernel === Prelu && preluActivationWeights != null) operands['alpha'] = preluActivationWeights;
    const options: NamedAttrMap = activationKernel === LeakyRelu ? { alpha: leakyreluAlpha ?? 0 } : {};
    return applyKernel(heap, activationKernel, result, operands, options);
  },
);

function findActivation(activation: string | null | undefined): string | undefined {
  if (activation == null || activation === 'linear') return undefined;
  const kernel = activationKernels[activation];
  if (kernel === undefined) {
    throw new UnsupportedBackendError({
      parameter: 'fused.matMul activation',
      found: activation,
      expected: `linear, ${Object.keys(activationKernels).join(', ')}`,
    });
  }
  return kernel;
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
