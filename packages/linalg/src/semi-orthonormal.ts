import type { Tensor2D } from '@tensorflow/tfjs-core';
import { tidy, transpose } from '@tensorflow/tfjs-core';
import { requireMatrix } from './arguments.js';
import type { OrthonormalizeOptions } from './orthonormalize.js';
import { orthonormalize } from './orthonormalize.js';

/**
 * A random semi-orthonormal matrix from a Gaussian one of the same shape. Tall (m >= n): the Q of its QR decomposition
 * with diag(R) > 0, which makes Q uniform (Haar) on the matrices with Q^T Q = I (Mezzadri, Notices of the AMS 54, 2007).
 * Wide: the transpose of that for the transposed matrix, so Q Q^T = I. E[projection] = (rank / dimension) I.
 *
 * The factor is unique, so host and device paths and all backends agree up to float32 rounding times the condition
 * number of the Gaussian.
 *
 * @param gaussian independent standard normal entries, from the caller's seeded generator.
 * @throws as `orthonormalize`.
 */
export function semiOrthonormal(gaussian: Tensor2D, options: OrthonormalizeOptions = {}): Tensor2D {
  requireMatrix('gaussian', gaussian);
  const [m, n] = gaussian.shape;
  if (m >= n) return orthonormalize(gaussian, options);
  return tidy(() => transpose(orthonormalize(transpose(gaussian), options)));
}
