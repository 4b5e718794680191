import { clipByValue, mul, type Tensor } from '@tensorflow/tfjs-core';

/**
 * A gradient as the rules see it: entries limited to ±`clipValue`, then scaled by `factor`, which clips the norm of all
 * gradients together. The same tensor when there is nothing to do.
 */
export function prepareGradient(gradient: Tensor, clipValue: number | undefined, factor: number | Tensor): Tensor {
  const clipped = clipValue === undefined ? gradient : clipByValue(gradient, -clipValue, clipValue);
  return factor === 1 ? clipped : mul(clipped, factor);
}
