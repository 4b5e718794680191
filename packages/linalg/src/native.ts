import { sharedRegistry } from '@frugaljs/core';
import type { Tensor1D, Tensor2D } from '@tensorflow/tfjs-core';
import { getBackend } from '@tensorflow/tfjs-core';

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
