import { type Basis, randomKey, randomNormals, type Shape, sizeOf } from '@frugaljs/core';
import { type Tensor, tensor } from '@tensorflow/tfjs-core';

/** The entries of a tensor. */
export function numbers(x: Tensor): Float32Array | Int32Array {
  return x.dataSync() as Float32Array | Int32Array;
}

/** The tensors of a basis as one list of numbers, in the order of their names. */
export function basisNumbers(basis: Basis): number[] {
  return Object.keys(basis)
    .sort()
    .flatMap(name => Array.from(numbers(basis[name]!)));
}

/** A float32 tensor of standard normal numbers. */
export function normalTensor(shape: Shape, seed: number, label: string): Tensor {
  return tensor(randomNormals(randomKey(seed, label), sizeOf(shape)), [...shape], 'float32');
}
