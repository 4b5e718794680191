import type { Tensor2D } from '@tensorflow/tfjs-core';
import { add, div, eye, matMul, mul, sqrt, square, sub, sum, tensor2d, tidy, transpose } from '@tensorflow/tfjs-core';

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
