import type { Tensor2D } from '@tensorflow/tfjs-core';
import { matMul, tidy, transpose } from '@tensorflow/tfjs-core';

/** Which singular vectors: 'right' ones live in the column-index space R^n of an m x n matrix, 'left' ones in R^m. */
export type Side = 'left' | 'right';

/**
 * Products with G as seen from one side, written with explicit transposes of the thin factor only: the matMul of the
 * wasm backend is ten times slower with its transpose flags, and transposing G itself costs half a product.
 */
export interface SidedMatrix {
  /** Length of the vectors on the wanted side. */
  readonly near: number;
  /** Length of the vectors on the other side. */
  readonly far: number;
  /** near x k -> far x k. */
  toFar(columns: Tensor2D): Tensor2D;
  /** far x k -> near x k. */
  toNear(columns: Tensor2D): Tensor2D;
}

export function sided(g: Tensor2D, side: Side): SidedMatrix {
  const [m, n] = g.shape;
  const multiply = (x: Tensor2D): Tensor2D => matMul(g, x);
  const multiplyTransposed = (x: Tensor2D): Tensor2D => tidy(() => transpose(matMul<Tensor2D>(transpose(x), g)));
  return side === 'right'
    ? { near: n, far: m, toFar: multiply, toNear: multiplyTransposed }
    : { near: m, far: n, toFar: multiplyTransposed, toNear: multiply };
}
