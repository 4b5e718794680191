import {
  add,
  mean,
  mul,
  rsqrt,
  square,
  sub,
  sum,
  type Tensor,
  type Tensor1D,
  type Tensor2D,
} from '@tensorflow/tfjs-core';
import { differentiable } from './differentiable.js';

/**
 * Root mean square normalization over the last axis (Zhang & Sennrich 2019): `y = x / √(mean(x²) + ε) ⊙ w`.
 *
 * With `x̂ = x / √(mean(x²) + ε)` the gradients are `dw = Σ_rows dy ⊙ x̂` and
 * `dx = (dx̂ - x̂ · mean(dx̂ ⊙ x̂)) / √(mean(x²) + ε)`, `dx̂ = dy ⊙ w`.
 *
 * @param x `[rows, width]`
 * @param weight `[width]`
 */
export function rmsNorm(x: Tensor2D, weight: Tensor1D, epsilon: number): Tensor2D {
  return differentiable<Tensor2D>([x, weight], save => {
    const inverse = rsqrt(add(mean(square(x), -1, true), epsilon));
    const value = mul(mul(x, inverse), weight) as Tensor2D;
    save([x, inverse, weight]);
    return { value, gradient: rmsNormGradient };
  });
}

function rmsNormGradient(dy: Tensor2D, saved: Tensor[]): Tensor[] {
  const [x, inverse, weight] = saved as [Tensor, Tensor, Tensor];
  const normed = mul(x, inverse);
  const dNormed = mul(dy, weight);
  const along = mean(mul(dNormed, normed), -1, true);
  return [mul(sub(dNormed, mul(normed, along)), inverse), sum(mul(dy, normed), 0)];
}
