import { sharedRegistry } from '@frugaljs/core';
import {
  getBackend,
  matMul,
  reshape,
  slice,
  type Tensor1D,
  type Tensor2D,
  tidy,
  transpose,
} from '@tensorflow/tfjs-core';

// What the algorithms for leading singular vectors are asked and give, and the decompositions that backends bring along.

/** What every algorithm for a leading subspace is asked: already validated, defaults filled in. */
export interface SubspaceRequest {
  readonly rank: number;
  readonly iterations: number;
  readonly align: boolean;
  /** Also return the vectors of the other side and the singular values; implies `align`. */
  readonly triplets: boolean;
}

/** `near`: columns on the wanted side. `far`, `values`: null unless triplets were asked for; values are rank x 1. */
export interface SubspaceResult {
  readonly near: Tensor2D;
  readonly far: Tensor2D | null;
  readonly values: Tensor2D | null;
}

/** Which singular vectors: 'right' ones live in the column-index space R^n of an m x n matrix, 'left' ones in R^m. */
export type Side = 'left' | 'right';

/**
 * Products with G as seen from one side, written with explicit transposes of the thin factor only: the matMul of the
 * wasm backend is ten times slower with its transpose flags, and transposing G itself costs half a product.
 */
export interface SidedMatrix {
  /** near x k -> far x k: from vectors on the wanted side to vectors on the other. */
  toFar(columns: Tensor2D): Tensor2D;
  /** far x k -> near x k. */
  toNear(columns: Tensor2D): Tensor2D;
}

export function sided(g: Tensor2D, side: Side): SidedMatrix {
  const multiply = (x: Tensor2D): Tensor2D => matMul(g, x);
  const multiplyTransposed = (x: Tensor2D): Tensor2D => tidy(() => transpose(matMul<Tensor2D>(transpose(x), g)));
  return side === 'right'
    ? { toFar: multiply, toNear: multiplyTransposed }
    : { toFar: multiplyTransposed, toNear: multiply };
}

/** A thin singular value decomposition G = left diag(values) right^T; a = min(m, n). */
export interface SingularFactors {
  /** m x a, orthonormal columns also where singular values are 0. */
  readonly left: Tensor2D;
  /** a values, descending. */
  readonly values: Tensor1D;
  /** n x a. */
  readonly right: Tensor2D;
}

/**
 * Decompositions that a tfjs backend has of its own, on its own device. Matrices that hold NaN or Infinity need not be
 * told apart, but must not hang.
 */
export interface NativeDecompositions {
  svd(g: Tensor2D): SingularFactors;
  /** The m x r factor Q of X = Q R with R upper triangular and no negative entry on its diagonal; r <= m. */
  orthonormalize(x: Tensor2D): Tensor2D;
}

const registered = sharedRegistry<() => NativeDecompositions>('decompositions', 1);

/** Makes the decompositions of a tfjs backend known; called when the package of a backend is imported. */
export function registerDecompositions(backendName: string, create: () => NativeDecompositions): void {
  registered.set(backendName, create);
}

/** What the current backend has; `null` for most, for which this package computes by itself. */
export function nativeDecompositions(): NativeDecompositions | null {
  return registered.get(getBackend())?.() ?? null;
}

/**
 * The leading singular vectors by the backend's own decomposition, made orthonormal by its QR: the divide-and-conquer
 * SVD of TensorFlow on CPU (Eigen's BDCSVD) gives vectors far from it for ill-conditioned matrices, in float32 already for
 * singular values of a thousandth of the largest. Columns are copied, so that the rest is freed.
 */
export function exactNatively(
  native: NativeDecompositions,
  g: Tensor2D,
  side: Side,
  { rank, triplets }: SubspaceRequest,
): SubspaceResult {
  const { left, values, right } = native.svd(g);
  const [near, far] = side === 'right' ? [right, left] : [left, right];
  const leading = (x: Tensor2D): Tensor2D => {
    const columns: Tensor2D = slice(x, [0, 0], [-1, rank]);
    const orthonormal = native.orthonormalize(columns);
    columns.dispose();
    return orthonormal;
  };
  try {
    return {
      near: leading(near),
      far: triplets ? leading(far) : null,
      values: triplets ? tidy(() => reshape(slice(values, 0, rank), [rank, 1]) as Tensor2D) : null,
    };
  } finally {
    for (const tensor of [left, values, right]) tensor.dispose();
  }
}
