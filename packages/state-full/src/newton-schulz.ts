import { add, div, matMul, mul, sqrt, square, sum, type Tensor2D, tidy, transpose } from '@tensorflow/tfjs-core';

/** Coefficients of s ↦ 3.4445 s - 4.7750 s³ + 2.0315 s⁵, chosen for their slope at 0 rather than for a limit. */
const COEFFICIENTS = [3.4445, -4.775, 2.0315] as const;

/**
 * Moves the singular values of a matrix close to 1 and leaves its singular vectors as they are:
 *
 *     X = x / (‖x‖_F + 1e-7),   then `steps` times   A = X Xᵀ,  X ← 3.4445 X + (-4.7750 A + 2.0315 A²) X
 *
 * computed on the transpose when there are more rows than columns. After 5 steps a singular value s of X ends in
 * [0.68, 1.14] for s in [0.01, 1]; it is not the exact polar factor, and zero stays zero.
 *
 * @returns A new tensor of the same shape, owned by the caller.
 * @see Jordan et al., Muon, 2024 (kellerjordan.github.io/posts/muon).
 */
export function newtonSchulz(x: Tensor2D, steps: number): Tensor2D {
  const [a, b, c] = COEFFICIENTS;
  const tall = x.shape[0] > x.shape[1];
  return tidy(() => {
    const norm = add(sqrt(sum(square(x))), 1e-7);
    let result: Tensor2D = div(tall ? transpose(x) : x, norm);
    for (let i = 0; i < steps; i++) {
      // An explicit transpose: matMul's own flag is several times slower on the wasm backend.
      const gram: Tensor2D = matMul(result, transpose(result));
      const polynomial: Tensor2D = add(mul(gram, b), mul(matMul(gram, gram), c));
      result = add(mul(result, a), matMul(polynomial, result));
    }
    return tall ? transpose(result) : result;
  });
}
