import type { Tensor2D } from '@tensorflow/tfjs-core';
import { abs, div, matMul, max, tensor2d, tidy, transpose } from '@tensorflow/tfjs-core';
import { NonFiniteMatrixError } from './errors.js';
import { orthonormalizeOnHost } from './orthonormalize-host.js';
import type { SymmetricEigen } from './symmetric-eigen.js';
import { symmetricEigen } from './symmetric-eigen.js';

/** The Gram matrix is a float32 product: finer eigenvalues than this would only resolve its rounding. */
const EIGEN_TOLERANCE = 1e-9;
/** The Ritz vectors of a gradient's leading subspace meet this as they come, which saves a pass. */
const RITZ_ACCURACY = 5e-6;

/** Singular values of B (descending) and its singular vectors of the l-dimensional side, as rows. */
export interface RitzPairs {
  readonly values: Float64Array;
  /** l x l: row i belongs to values[i]. */
  readonly vectors: Float64Array;
}

/**
 * Eigenvectors of B^T B for a tall b x l matrix: the Gram matrix is formed on the device in float32 and diagonalized on
 * the host. Singular values below about 3e-4 of the largest are lost in the rounding of the Gram matrix.
 *
 * @throws NonFiniteMatrixError naming `parameter`.
 */
export function ritzPairs(tall: Tensor2D, parameter: string): RitzPairs {
  const l = tall.shape[1];
  const largest = largestEntry(tall);
  if (!Number.isFinite(largest)) throw new NonFiniteMatrixError(parameter, tall.shape);
  // Keep squares inside float32.
  const unit = largest === 0 || (largest > 1e-8 && largest < 1e8) ? 1 : largest;
  const product = tidy(() => {
    const scaled = unit === 1 ? tall : div<Tensor2D>(tall, unit);
    return matMul(transpose(scaled), scaled);
  });
  const gram = product.dataSync<'float32'>();
  product.dispose();
  for (let i = 0; i < l; i++)
    if (!Number.isFinite(gram[i * l + i])) throw new NonFiniteMatrixError(parameter, tall.shape);
  const { values, vectors }: SymmetricEigen = symmetricEigen(gram, l, { tolerance: EIGEN_TOLERANCE });
  return { values: values.map(value => unit * Math.sqrt(Math.max(value, 0))), vectors };
}

function largestEntry(x: Tensor2D): number {
  const largest = tidy(() => max(abs(x)));
  const value = largest.dataSync()[0]!;
  largest.dispose();
  return value;
}

/**
 * The singular vectors of the long side, B w_i / sigma_i, as b x rank columns. Orthonormalized from the largest down,
 * which takes the rounding errors along large directions out of the small ones; those without a direction are replaced.
 */
export function longRitzVectors(tall: Tensor2D, pairs: RitzPairs, rank: number, parameter: string): Tensor2D {
  const { values, vectors } = pairs;
  const l = values.length;
  const floor = 1e-4 * values[0]!;
  const coefficients = new Float32Array(l * rank);
  for (let i = 0; i < rank; i++) {
    const scale = floor > 0 ? 1 / Math.max(values[i]!, floor) : 1;
    for (let k = 0; k < l; k++) coefficients[k * rank + i] = vectors[i * l + k]! * scale;
  }
  const columns: Tensor2D = tidy(() => matMul(tall, tensor2d(coefficients, [l, rank])));
  try {
    return orthonormalizeOnHost(columns, { parameter, accuracy: RITZ_ACCURACY });
  } finally {
    columns.dispose();
  }
}

/** The first `rank` rows as columns of a float32 tensor. */
export function columnsFromRows(rows: Float64Array, rank: number, length: number): Tensor2D {
  const out = new Float32Array(length * rank);
  for (let i = 0; i < rank; i++) for (let k = 0; k < length; k++) out[k * rank + i] = rows[i * length + k]!;
  return tensor2d(out, [length, rank]);
}
