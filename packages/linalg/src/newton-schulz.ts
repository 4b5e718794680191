import { add, div, matMul, mul, sqrt, square, sum, type Tensor2D, tidy, transpose } from '@tensorflow/tfjs-core';
import { requireCount, requireMatrix } from './errors.js';

export interface NewtonSchulzOptions {
  /** Number of steps; default 5. */
  readonly steps?: number;
  /** p(s) = a s + b s^3 + c s^5 is applied to every singular value in every step. Default (3.4445, -4.7750, 2.0315). */
  readonly coefficients?: readonly [a: number, b: number, c: number];
  /** Added to |X|_F in the initial division; default 1e-7. */
  readonly epsilon?: number;
}

/**
 * Muon's approximate orthogonalization of an m x n matrix (Jordan et al., 2024): X / (|X|_F + epsilon), then `steps`
 * times X <- a X + (b A + c A^2) X with A = X X^T on the shorter side.
 *
 * Singular vectors are kept and singular values pushed near 1: with the defaults a singular value of at least 0.01 of
 * |X|_F ends in [0.68, 1.14], at least 0.001 in [0.47, 1.21]. The map is not monotone and its limit is no exact polar
 * factor; a zero matrix stays zero. About 4 a^2 b + 2 a^3 flops per step for sides a <= b; nothing is read back.
 */
export function newtonSchulz(x: Tensor2D, options: NewtonSchulzOptions = {}): Tensor2D {
  const { steps = 5, coefficients = [3.4445, -4.775, 2.0315], epsilon = 1e-7 } = options;
  requireMatrix('x', x);
  requireCount('steps', steps);
  const [a, b, c] = coefficients;
  const isTall = x.shape[0] > x.shape[1];
  return tidy(() => {
    let wide: Tensor2D = div(x, add(sqrt(sum(square(x))), epsilon));
    if (isTall) wide = transpose(wide);
    for (let step = 0; step < steps; step++) {
      const next: Tensor2D = tidy(() => {
        const gram = matMul(wide, transpose(wide));
        const polynomial: Tensor2D = add(mul(gram, b), mul(matMul(gram, gram), c));
        return add(mul(wide, a), matMul(polynomial, wide));
      });
      wide.dispose();
      wide = next;
    }
    return isTall ? transpose(wide) : wide;
  });
}
