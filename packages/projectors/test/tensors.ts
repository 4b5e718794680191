import { type Basis, randomKey, randomNormals, type Shape, sizeOf } from '@frugaljs/core';
import { type Tensor, tensor } from '@tensorflow/tfjs-core';

/** A reproducible tensor of standard normal numbers. */
export function normal(shape: Shape, ...labels: (string | number)[]): Tensor {
  return tensor(randomNormals(randomKey(1, ...labels), sizeOf(shape)), [...shape]);
}

/** The numbers of a tensor, which is disposed. */
export function take(x: Tensor): Float32Array | Int32Array {
  const values = x.dataSync() as Float32Array | Int32Array;
  x.dispose();
  return values.slice();
}

export function disposeBasis(basis: Basis): void {
  for (const factor of Object.values(basis)) factor.dispose();
}

/** The tensors of a basis as plain numbers, by name. */
export function basisNumbers(basis: Basis): Record<string, number[]> {
  return Object.fromEntries(Object.entries(basis).map(([name, x]) => [name, Array.from(x.dataSync())]));
}

/** Σ a_i b_i in float64. */
export function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Largest |a_i - b_i|. */
export function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Number.POSITIVE_INFINITY;
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const d = Math.abs(a[i]! - b[i]!);
    if (!(d <= largest)) largest = d;
  }
  return largest;
}
