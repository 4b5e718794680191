import { hostKernels } from './host-workspace.js';
import { implicitQl } from './implicit-ql.js';
import type { RowKernels } from './row-kernels.js';
import { WORKSPACE_START } from './row-kernels.js';
import { accumulateReflections, tridiagonalize } from './tridiagonalize.js';

export interface SymmetricEigen {
  /** Eigenvalues in descending order. */
  readonly values: Float64Array;
  /** Orthonormal eigenvectors, one per row: row i belongs to values[i]. */
  readonly vectors: Float64Array;
}

export interface SymmetricEigenOptions {
  /**
   * An off-diagonal element counts as zero below `tolerance` times the norm; the eigenvalues then have about this
   * relative error. Default 2^-52. A coarser one saves a quarter of the time when the matrix itself is only a float32
   * product.
   */
  readonly tolerance?: number;
  /** The inner loops; default: WebAssembly SIMD, or JavaScript where that is missing. */
  readonly kernels?: RowKernels;
}

/**
 * A = V^T diag(values) V for a symmetric matrix, on the host in float64: Householder reduction to tridiagonal form,
 * then QL with implicit shifts (Golub and Van Loan, Matrix Computations, section 8.3; the shift is Wilkinson's).
 * About 2.9 n^3 multiply-adds. The rotations act on rows, so every inner loop is contiguous.
 *
 * @param a n x n, row-major; only the lower triangle is read. Must be finite.
 * @throws Error if an eigenvalue needs more than 60 sweeps, which no finite matrix has been seen to do.
 */
export function symmetricEigen(a: ArrayLike<number>, n: number, options: SymmetricEigenOptions = {}): SymmetricEigen {
  const { tolerance = 2 ** -52, kernels = hostKernels() } = options;
  // Rows of Z are processed in fours, so Z has spare rows that stay zero.
  const zRows = n + 3;
  const aStart = WORKSPACE_START;
  const zStart = aStart + n * n;
  const pStart = zStart + zRows * n;
  const mem = kernels.reserve(pStart + 2 * n);
  for (let i = 0; i < n; i++) for (let j = 0; j <= i; j++) mem[aStart + i * n + j] = a[i * n + j]!;

  const diagonal = new Float64Array(n);
  const offDiagonal = new Float64Array(n);
  const heights = tridiagonalize(kernels, mem, aStart, pStart, n, diagonal, offDiagonal);
  accumulateReflections(kernels, mem, aStart, zStart, zRows, n, heights);
  implicitQl(kernels, mem, zStart, n, diagonal, offDiagonal, tolerance);

  const order = Array.from(diagonal.keys()).sort((x, y) => diagonal[y]! - diagonal[x]! || x - y);
  const values = new Float64Array(n);
  const vectors = new Float64Array(n * n);
  order.forEach((from, to) => {
    values[to] = diagonal[from]!;
    vectors.set(mem.subarray(zStart + from * n, zStart + (from + 1) * n), to * n);
  });
  return { values, vectors };
}
