import {
  BatchMatMul,
  type BatchMatMulAttrs,
  getKernel,
  type KernelFunc,
  registerKernel,
  type TensorInfo,
  Transpose,
  UnsortedSegmentSum,
  unregisterKernel,
} from '@tensorflow/tfjs-core';
import { registerTrainingKernels, restoreTfjsKernels, tensorHeap } from '../src/index.js';

/** A choice of kernels to compare. */
export interface KernelSet {
  readonly name: string;
  /** Registers the set and returns the way back to tfjs's own kernels. */
  install(): () => void;
}

/** tfjs as it is, with the one kernel without which no embedding trains. */
const plain: KernelSet = {
  name: 'tfjs + UnsortedSegmentSum',
  install: () => {
    registerTrainingKernels([UnsortedSegmentSum]);
    return restoreTfjsKernels;
  },
};

/** The workaround that needs no WebAssembly: tfjs's own transpose before tfjs's own product. */
const explicitTranspose: KernelSet = {
  name: 'tfjs + UnsortedSegmentSum + explicit transposes',
  install: () => {
    registerTrainingKernels([UnsortedSegmentSum]);
    const original = getKernel(BatchMatMul, 'wasm');
    unregisterKernel(BatchMatMul, 'wasm');
    registerKernel({ ...original, kernelFunc: withExplicitTranspose(original.kernelFunc) });
    return () => {
      unregisterKernel(BatchMatMul, 'wasm');
      registerKernel(original);
      restoreTfjsKernels();
    };
  },
};

const training: KernelSet = {
  name: '@frugaljs/backend-wasm',
  install: () => {
    registerTrainingKernels();
    return restoreTfjsKernels;
  },
};

export const kernelSets: readonly KernelSet[] = [plain, explicitTranspose, training];

function withExplicitTranspose(matMul: KernelFunc): KernelFunc {
  return ({ inputs, attrs, backend }) => {
    const heap = tensorHeap(backend as Parameters<typeof tensorHeap>[0]);
    const { transposeA, transposeB } = attrs as unknown as BatchMatMulAttrs;
    const straight = (x: TensorInfo, transposed: boolean): TensorInfo => {
      if (!transposed) return x;
      const rank = x.shape.length;
      const perm = x.shape.map((_, axis) => (axis < rank - 2 ? axis : 2 * rank - 3 - axis));
      return getKernel(Transpose, 'wasm').kernelFunc({ inputs: { x }, attrs: { perm }, backend }) as TensorInfo;
    };
    const { a, b } = inputs as Record<'a' | 'b', TensorInfo>;
    const operands = { a: straight(a, transposeA), b: straight(b, transposeB) };
    const product = matMul({ inputs: operands, attrs: { transposeA: false, transposeB: false }, backend });
    if (operands.a !== a) heap.backend.disposeData(operands.a.dataId);
    if (operands.b !== b) heap.backend.disposeData(operands.b.dataId);
    return product;
  };
}
