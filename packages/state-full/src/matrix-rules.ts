// What rules that decompose a gradient have in common: they take matrices, and no numbers whose products leave float32.
import { type Shape, UnsupportedShapeError } from '@frugaljs/core';
import { NonFiniteMatrixError } from '@frugaljs/linalg';
import { abs, divNoNan, fill, greater, max, mul, sign, type Tensor, type Tensor2D, where } from '@tensorflow/tfjs-core';

/** @throws UnsupportedShapeError unless the rank is 2. */
export function requireMatrix(kind: string, shape: Shape): readonly [rows: number, columns: number] {
  if (shape.length === 2) return shape as readonly [number, number];
  throw new UnsupportedShapeError({
    parameter: kind,
    found: shape,
    expected: 'a matrix',
    advice: 'Give vectors and tensors of higher rank a group with another rule, such as adamW().',
  });
}

/** The largest entry that counts: its square times a million is a number of float32. */
const LARGEST_ENTRY = 1e15;

/** Entries beyond ±1e15 as that. */
export function bounded(x: Tensor): Tensor2D {
  // Not by clipByValue, which makes numbers of NaN on some backends.
  return where(greater(abs(x), LARGEST_ENTRY), mul(sign(x), LARGEST_ENTRY), x) as Tensor2D;
}

/** A matrix with the largest entry 1, for decompositions to which the size does not matter. */
export function withLargestEntry1(x: Tensor): Tensor2D {
  return divNoNan(x, max(abs(x)));
}

/** A basis, or NaN where there is none because the gradient has NaN. */
export function basisOrNaN(shape: readonly [number, number], compute: () => Tensor2D): Tensor2D {
  try {
    return compute();
  } catch (error) {
    if (error instanceof NonFiniteMatrixError) return fill([...shape], Number.NaN);
    throw error;
  }
}
