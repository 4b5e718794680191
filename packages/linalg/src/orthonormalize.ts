import { backendTraits } from '@frugaljs/core';
import type { Tensor2D } from '@tensorflow/tfjs-core';
import { tensor2d } from '@tensorflow/tfjs-core';
import { requireMatrix } from './arguments.js';
import { LinalgArgumentError } from './errors.js';
import { nativeDecompositions } from './native.js';
import { requireFinite } from './native-svd.js';
import { orthonormalizeOnDevice } from './orthonormalize-device.js';
import { orthonormalizeOnHost } from './orthonormalize-host.js';

/** Multiply-adds (m r^2) up to which a backend's own Householder QR is faster than the Gram matrix and the host. */
const NATIVE_WORK = 2 ** 22;

export interface OrthonormalizeOptions {
  /**
   * true: small factor problems are solved on the host in float64. false: tfjs ops only, nothing is read back.
   * Default: where the backend's trait `refreshesOn` says.
   */
  readonly host?: boolean;
}

/**
 * The m x r factor Q of X = Q R with R upper triangular and its diagonal positive, so that column j of Q is column j of
 * X made orthogonal to the columns before it. |Q^T Q - I| is below 5e-6 (float32 rounding) for every finite X.
 *
 * A zero column, or one closer to the span of the earlier columns than about 1e-6 of its length, has no direction of
 * its own and is replaced: the result is still orthonormal, equal for equal inputs, and spans X's columns. On the
 * device path columns closer than about 1e-2 are also perturbed, by a few 1e-6 of their length.
 *
 * Shifted and repeated CholeskyQR (Fukaya et al., 2020); tall matrices cost about two Gram products and two
 * multiplications by an r x r matrix. The backend's own QR takes its place where there is one and it is faster. The
 * result shares no memory with X.
 *
 * @param x m x r with r <= m.
 * @throws NonFiniteMatrixError on the host path if X has NaN or Infinity; the device path passes NaN on.
 * @throws LinalgArgumentError if X is not a matrix or r > m.
 */
export function orthonormalize(x: Tensor2D, options: OrthonormalizeOptions = {}): Tensor2D {
  const { host = backendTraits().refreshesOn === 'host' } = options;
  requireMatrix('x', x);
  const [m, r] = x.shape;
  if (r > m) throw new LinalgArgumentError('x', `shape ${m}x${r}`, 'at most as many columns as rows; transpose it');
  if (r === 0) return tensor2d([], [m, 0]);
  const native = nativeDecompositions();
  if (native !== null && (!host || m * r * r <= NATIVE_WORK)) {
    if (host) requireFinite('x', x);
    return native.orthonormalize(x);
  }
  return host ? orthonormalizeOnHost(x, { parameter: 'x' }) : orthonormalizeOnDevice(x);
}
