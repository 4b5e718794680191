import type { Tensor2D } from '@tensorflow/tfjs-core';
import { abs, max, reshape, slice, tidy } from '@tensorflow/tfjs-core';
import { NonFiniteMatrixError } from './errors.js';
import type { NativeDecompositions } from './native.js';
import type { Side } from './sides.js';
import type { SubspaceRequest, SubspaceResult } from './subspace-request.js';

/**
 * The leading singular vectors by the backend's own decomposition, made orthonormal by its QR: the divide-and-conquer
 * SVD of TensorFlow on CPU (Eigen's BDCSVD) gives vectors far from it for ill-conditioned matrices, in float32 already for
 * singular values of a thousandth of the largest. Columns are copied, so that the rest is freed.
 *
 * @param parameter What an error calls the matrix; null to let NaN and Infinity pass, without reading anything back.
 * @throws NonFiniteMatrixError naming `parameter`.
 */
export function exactNatively(
  native: NativeDecompositions,
  g: Tensor2D,
  side: Side,
  { rank, triplets }: SubspaceRequest,
  parameter: string | null,
): SubspaceResult {
  if (parameter !== null) requireFinite(parameter, g);
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

/** @throws NonFiniteMatrixError if x has NaN or Infinity; reads one number back. */
export function requireFinite(parameter: string, x: Tensor2D): void {
  const largest = tidy(() => max(abs(x)));
  const value = largest.dataSync()[0]!;
  largest.dispose();
  if (!Number.isFinite(value)) throw new NonFiniteMatrixError(parameter, x.shape);
}
