import {
  add,
  div,
  eye,
  matMul,
  mul,
  sqrt,
  square,
  sub,
  sum,
  type Tensor2D,
  tensor2d,
  tidy,
  transpose,
} from '@tensorflow/tfjs-core';
import { hostKernels, type RowKernels, WORKSPACE_START } from './row-kernels.js';

export interface InverseCholesky {
  /** Row-major lower triangular n x n factor Z with Z A Z^T = I on the independent columns. */
  readonly inverse: Float32Array;
  /**
   * Columns that are zero or depend on the ones before them. Row i of Z yields (x_i minus its projection) / |x_i| for
   * them, not normalized, and later columns are not made orthogonal to it: its direction is mostly rounding noise.
   */
  readonly dependentColumns: readonly number[];
  /** |row_i of the unscaled Z|_2: by how much rounding errors of the data are magnified in the result i. */
  readonly magnification: Float64Array;
}

export interface InverseCholeskyOptions {
  /** A column is dependent when its squared distance to the earlier ones, relative to its squared length, is below this. */
  readonly pivotTolerance: number;
  readonly kernels?: RowKernels;
}

/**
 * Z = L^-1 for a Gram matrix A = X^T X = L L^T, on the host in float64, so that X Z^T has orthonormal columns: the R
 * factor of a QR decomposition with a positive diagonal. Columns are scaled to unit length first, so badly scaled
 * columns cost no accuracy. About n^3 / 3 multiply-adds.
 *
 * @param a n x n, row-major, symmetric, finite.
 */
export function inverseCholesky(a: ArrayLike<number>, n: number, options: InverseCholeskyOptions): InverseCholesky {
  const { pivotTolerance, kernels = hostKernels() } = options;
  const stride = n + (-n & 3);
  const lStart = WORKSPACE_START;
  const zStart = lStart + stride * stride;
  const mem = kernels.reserve(zStart + stride * stride);
  mem.fill(0, lStart, zStart + stride * stride);

  const scale = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const length2 = a[i * n + i]!;
    scale[i] = length2 > 0 ? 1 / Math.sqrt(length2) : 0;
  }

  const dependentColumns: number[] = [];
  const pivots = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const u = lStart + i * stride;
    let pivot = 1;
    for (let j = 0; j < i; j += 4) {
      const r = lStart + j * stride;
      kernels.dot4(r, stride, u, j);
      const width = Math.min(4, i - j);
      // Inside a block of four columns the recursion is sequential.
      for (let b = 0; b < width; b++) {
        const column = j + b;
        if (pivots[column] === 0) continue;
        let x = a[i * n + column]! * scale[i]! * scale[column]! - mem[b]!;
        for (let k = j; k < column; k++) x -= mem[lStart + column * stride + k]! * mem[u + k]!;
        x *= pivots[column]!;
        mem[u + column] = x;
        pivot -= x * x;
      }
    }
    const independent = scale[i]! > 0 && pivot > pivotTolerance;
    if (!independent) dependentColumns.push(i);
    // A zero stands for "eliminate nothing with this column".
    pivots[i] = independent ? 1 / Math.sqrt(pivot) : 0;
  }

  const inverse = new Float32Array(n * n);
  const magnification = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    const isDependent = pivots[i] === 0;
    if (scale[i] === 0) continue;
    const u = lStart + i * stride;
    const out = zStart + i * stride;
    for (let k = 0; k < i; k += 4) {
      kernels.gather4(
        out,
        zStart + k * stride,
        stride,
        k + 4,
        mem[u + k]!,
        mem[u + k + 1]!,
        mem[u + k + 2]!,
        mem[u + k + 3]!,
      );
    }
    mem[out + i]! += 1;
    const factor = isDependent ? 1 : pivots[i]!;
    let sum = 0;
    for (let k = 0; k <= i; k++) {
      const z = mem[out + k]! * factor;
      mem[out + k] = z;
      sum += z * z;
      inverse[i * n + k] = z * scale[k]!;
    }
    magnification[i] = Math.sqrt(sum);
  }
  return { inverse, dependentColumns, magnification };
}

/**
 * The lower triangular Z with Z A Z^T = I (the inverse Cholesky factor) of a symmetric positive definite A, using only
 * matrix products: no read-back, no loop over columns. From Z = I / sqrt(|A|_F),
 *
 *   Z <- Z - P(Z A Z^T - I) Z,   P(E) = strictly lower part of E plus half of its diagonal,
 *
 * the Newton-Schulz iteration for the inverse square root with the symmetric correction E / 2 replaced by the
 * triangular P(E), for which P(E) + P(E)^T = E as well. Small directions grow by 3/2 per iteration, then convergence
 * is quadratic: log_1.5(sqrt(cond A)) + 5 iterations, so 24 for the worst shifted float32 Gram matrix.
 *
 * @param shift s: the factor is that of A + s |A|_F I. About 4e-7 keeps a singular float32 Gram matrix definite.
 */
export function inverseCholeskyOnDevice(a: Tensor2D, options: { shift: number; iterations: number }): Tensor2D {
  const { shift, iterations } = options;
  return tidy(() => {
    const n = a.shape[0];
    const identity = eye(n);
    const norm = sqrt(sum(square(a)));
    const shifted = shift === 0 ? a : add(a, mul(identity, mul(norm, shift)));
    const half = lowerHalf(n);
    let z: Tensor2D = div(identity, sqrt(norm));
    for (let i = 0; i < iterations; i++) {
      const next: Tensor2D = tidy(() => {
        const error = sub(matMul(matMul(z, shifted), transpose(z)), identity);
        return sub(z, matMul(mul(half, error), z));
      });
      z.dispose();
      z = next;
    }
    return z;
  });
}

/** Ones below the diagonal, one half on it. */
function lowerHalf(n: number): Tensor2D {
  const values = new Float32Array(n * n);
  for (let i = 0; i < n; i++) {
    values.fill(1, i * n, i * n + i);
    values[i * n + i] = 0.5;
  }
  return tensor2d(values, [n, n]);
}
