import type { Scalar, Tensor2D } from '@tensorflow/tfjs-core';
import {
  abs,
  div,
  greater,
  max,
  mul,
  onesLike,
  reshape,
  sqrt,
  square,
  sum,
  tensor2d,
  tidy,
  where,
} from '@tensorflow/tfjs-core';
import { requireCount, requireMatrix } from './arguments.js';
import { counterNoise } from './counter-noise.js';
import { sided } from './sides.js';

export interface SpectralNormOptions {
  /** Power iterations, two matrix-vector products each; default 20. */
  readonly iterations?: number;
}

/**
 * Estimates the largest singular value of G by power iteration on G^T G from a fixed start: always a lower bound (up to
 * rounding), with a relative error of about (sigma_2 / sigma_1)^(4 iterations). A scalar tensor; nothing is read back.
 */
export function spectralNorm(g: Tensor2D, options: SpectralNormOptions = {}): Scalar {
  const { iterations = 20 } = options;
  requireMatrix('g', g);
  requireCount('iterations', iterations);
  return tidy(() => {
    const n = g.shape[1];
    const unit = orOne(max(abs(g)) as Scalar);
    const operator = sided(div(g, unit), 'right');
    let v = normalized(tensor2d(counterNoise(n, n), [n, 1]));
    for (let i = 0; i < iterations; i++) {
      const next = tidy(() => normalized(operator.toNear(operator.toFar(v))));
      v.dispose();
      v = next;
    }
    return mul(sqrt(sum(square(operator.toFar(v)))), unit) as Scalar;
  });
}

function normalized(v: Tensor2D): Tensor2D {
  return div(v, orOne(sqrt(sum(square(v))) as Scalar));
}

/** x, or 1 where x is 0. */
function orOne(x: Scalar): Scalar {
  return reshape(where(greater(x, 0), x, onesLike(x)), []) as Scalar;
}
