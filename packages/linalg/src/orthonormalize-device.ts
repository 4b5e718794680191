import type { Tensor2D } from '@tensorflow/tfjs-core';
import {
  abs,
  add,
  div,
  greater,
  matMul,
  max,
  mul,
  onesLike,
  relu,
  sqrt,
  square,
  sub,
  sum,
  tensor2d,
  tidy,
  transpose,
  where,
} from '@tensorflow/tfjs-core';
import { counterNoise } from './counter-noise.js';
import { orthonormalizeRowsOnDevice } from './gram-schmidt-device.js';
import { inverseCholeskyOnDevice } from './triangular-newton-schulz.js';

/** Up to here Gram-Schmidt row by row is fewer operations. */
const FEW_COLUMNS = 16;
/** Keeps the Gram matrix of dependent columns positive definite in float32. */
const SHIFT = 4e-7;
/** How much noise a fully dependent column gets after the first pass; a few 1e-6 of the original column. */
const NOISE = 1e-3;

/** See `orthonormalize`; this is the path without read-back. The work is the same for every input; NaN passes through. */
export function orthonormalizeOnDevice(x: Tensor2D): Tensor2D {
  if (x.shape[1] > FEW_COLUMNS) return shiftedCholeskyQr(x);
  return tidy(() => transpose(orthonormalizeRowsOnDevice(transpose(x))));
}

/**
 * The Q of a QR decomposition with positive diagonal, in tfjs ops only: shifted CholeskyQR repeated four times
 * (Fukaya et al., SIAM J. Sci. Comput. 42, 2020), with the Cholesky factor found by matrix products.
 */
function shiftedCholeskyQr(x: Tensor2D): Tensor2D {
  return tidy(() => {
    const [m, r] = x.shape;
    const noise: Tensor2D = tensor2d(counterNoise(m * r, r), [m, r]);
    const unitNoise: Tensor2D = mul(noise, Math.sqrt(3 / m));
    let q = choleskyPass(unitColumns(x, unitNoise), SHIFT, 24);
    // Columns shortened by the shift are near the span of the earlier ones; only those are perturbed.
    const weight = mul(relu(sub(1, mul(sum(square(q), 0, true), 4))), NOISE);
    q = choleskyPass(unitColumns(add(q, mul(unitNoise, weight)), unitNoise), SHIFT, 24);
    q = choleskyPass(unitColumns(q, unitNoise), SHIFT, 20);
    return choleskyPass(unitColumns(q, unitNoise), 0, 8);
  });
}

/** Columns scaled to length 1, by their maximum first so that squares neither underflow nor overflow. */
function unitColumns(x: Tensor2D, replacement: Tensor2D): Tensor2D {
  return tidy(() => {
    const largest = max(abs(x), 0, true);
    const nonzero = greater(largest, 0);
    const ones = onesLike(largest);
    const scaled = div(x, where(nonzero, largest, ones));
    const length = where(nonzero, sqrt(sum(square(scaled), 0, true)), ones);
    return where(nonzero, div(scaled, length), replacement) as Tensor2D;
  });
}

function choleskyPass(x: Tensor2D, shift: number, iterations: number): Tensor2D {
  return tidy(() => {
    const factor = inverseCholeskyOnDevice(matMul(transpose(x), x), { shift, iterations });
    return matMul(x, transpose(factor));
  });
}
