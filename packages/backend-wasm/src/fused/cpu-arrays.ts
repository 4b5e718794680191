import type { KernelBackend, Tensor } from '@tensorflow/tfjs-core';

type Values = Float32Array | Int32Array;

/** What tfjs's cpu backend keeps of a tensor. */
interface CpuBackend extends KernelBackend {
  readonly data: { get(dataId: object): { values: Values } };
}

/** The JavaScript arrays in which tfjs's cpu backend keeps its tensors. */
export class CpuArrays {
  private readonly backend: CpuBackend;

  constructor(backend: KernelBackend) {
    this.backend = backend as CpuBackend;
  }

  /** The array of a float32 tensor itself. */
  floats(tensor: Tensor): Float32Array {
    return this.backend.data.get(tensor.dataId).values as Float32Array;
  }

  /** The array of an int32 tensor itself. */
  integers(tensor: Tensor): Int32Array {
    return this.backend.data.get(tensor.dataId).values as Int32Array;
  }

  /** Gives a tensor another array; whoever has read the old one keeps it as it was. */
  replace(tensor: Tensor, values: Values): void {
    this.backend.data.get(tensor.dataId).values = values;
  }

  /** True when nothing but this tensor (or variable) holds its array. */
  isSole(tensor: Tensor): boolean {
    return this.backend.refCount(tensor.dataId) === 1;
  }
}
