import { type Basis, randomKey, randomNormals, type Shape, sizeOf } from '@frugaljs/core';
import { type Tensor, tensor } from '@tensorflow/tfjs-core';

/** The entries of a tensor. */
export function numbers(x: Tensor): Promise<Float32Array | Int32Array> {
  return x.data() as Promise<Float32Array | Int32Array>;
}

/** The tensors of a basis as one list of numbers, in the order of their names. */
export async function basisNumbers(basis: Basis): Promise<number[]> {
  const names = Object.keys(basis).sort();
  const values = await Promise.all(names.map(name => numbers(basis[name]!)));
  return values.flatMap(list => Array.from(list));
}

/** A float32 tensor of standard normal numbers. */
export function normalTensor(shape: Shape, seed: number, label: string): Tensor {
  return tensor(randomNormals(randomKey(seed, label), sizeOf(shape)), [...shape], 'float32');
}
