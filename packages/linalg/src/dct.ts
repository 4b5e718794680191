import { type Tensor2D, tensor2d } from '@tensorflow/tfjs-core';
import { requireCount } from './errors.js';

/**
 * The orthonormal DCT-II matrix of size a as row-major float32 entries:
 *
 *   Q_ij = sqrt(2 / a) cos(i (2 j + 1) pi / (2 a)), row 0 times sqrt(1 / 2).
 *
 * i (2 j + 1) is reduced modulo 4 a in integers and looked up in a table of deterministic cosines, so the bits are
 * equal on every engine. |Q^T Q - I| is about 1e-7.
 */
export function dctEntries(a: number): Float32Array {
  requireCount('a', a);
  const out = new Float32Array(a * a);
  if (a === 0) return out;
  const cosines = quarterWaveCosines(a);
  const period = 4 * a;
  for (let i = 0; i < a; i++) {
    const scale = Math.sqrt((i === 0 ? 1 : 2) / a);
    let k = i;
    for (let j = 0; j < a; j++) {
      // cos is even and repeats after 4 a; cos(pi - x) = -cos(x).
      const half = k > 2 * a ? period - k : k;
      out[i * a + j] = scale * (half > a ? -cosines[2 * a - half]! : cosines[half]!);
      k += 2 * i;
      if (k >= period) k -= period;
    }
  }
  return out;
}

/** `dctEntries` as an a x a tensor. Every call makes a new one; keep it where it is used for many gradients. */
export function dctMatrix(a: number): Tensor2D {
  return tensor2d(dctEntries(a), [a, a]);
}

/**
 * cos(pi k / (2 a)) for k = 0 ... a in float64, from additions, multiplications and divisions only, so every engine
 * gives the same bits (Math.cos may not). The last bit can differ from the correctly rounded value.
 */
export function quarterWaveCosines(a: number): Float64Array {
  const table = new Float64Array(a + 1);
  for (let k = 0; k <= a; k++) {
    // Up to pi / 4 the cosine itself, beyond it the sine of the complement: the series stay short and accurate.
    table[k] = 2 * k <= a ? cosineSeries((Math.PI * k) / (2 * a)) : sineSeries((Math.PI * (a - k)) / (2 * a));
  }
  return table;
}

/** Taylor series for |x| <= pi / 4, innermost term first; the first omitted one is below 2^-60. */
function cosineSeries(x: number): number {
  const x2 = x * x;
  let sum = 1;
  for (let i = 18; i >= 2; i -= 2) sum = 1 - (sum * x2) / (i * (i - 1));
  return sum;
}

function sineSeries(x: number): number {
  const x2 = x * x;
  let sum = 1;
  for (let i = 19; i >= 3; i -= 2) sum = 1 - (sum * x2) / (i * (i - 1));
  return x * sum;
}
