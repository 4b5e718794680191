import type { Tensor2D } from '@tensorflow/tfjs-core';
import { abs, add, div, matMul, max, mul, tensor2d, tidy, transpose } from '@tensorflow/tfjs-core';
import { inverseCholesky } from './cholesky.js';
import { counterNoise } from './counter-noise.js';
import { NonFiniteMatrixError } from './errors.js';
import { orthonormalizeRows } from './gram-schmidt.js';

/** From here on one more Cholesky pass reaches float32 accuracy for certain and needs no check. */
const NEARLY_ORTHONORMAL = 0.05;
const PIVOT_TOLERANCE = 2e-5;
/** Rounding of a float32 product relative to the magnification of the triangular factor. */
const ROUNDING = 2e-6;
const MAX_PASSES = 8;
/** Below this many multiply-adds (m r^2) the whole matrix is read and treated in float64. */
const SMALL = 2 ** 20;

export interface HostOrthonormalizeOptions {
  /** What an error message calls the matrix. */
  readonly parameter: string;
  /** Largest |Q^T Q - I| that is accepted without another pass. Default 4e-6, a few float32 roundings. */
  readonly accuracy?: number;
  /** Be content with one pass when no column is dependent: |Q^T Q - I| then is 1e-6 to 1e-3, the span is the same. */
  readonly loose?: boolean;
}

/** See `orthonormalize`; this is the path for backends that read back cheaply. */
export function orthonormalizeOnHost(x: Tensor2D, options: HostOrthonormalizeOptions): Tensor2D {
  const [m, r] = x.shape;
  return m * r * r <= SMALL ? orthonormalizeSmall(x, options.parameter) : orthonormalizeByGram(x, options);
}

function orthonormalizeSmall(x: Tensor2D, parameter: string): Tensor2D {
  const [m, r] = x.shape;
  const data = x.dataSync();
  const rows = new Float64Array(r * m);
  for (let i = 0; i < m; i++) {
    for (let j = 0; j < r; j++) {
      const value = data[i * r + j]!;
      if (!Number.isFinite(value)) throw new NonFiniteMatrixError(parameter, x.shape);
      rows[j * m + i] = value;
    }
  }
  orthonormalizeRows(rows, r, m);
  const out = new Float32Array(m * r);
  for (let i = 0; i < m; i++) for (let j = 0; j < r; j++) out[i * r + j] = rows[j * m + i]!;
  return tensor2d(out, [m, r]);
}

/**
 * CholeskyQR with as many passes as needed: the r x r Gram matrix is read, factored in float64, and the long products
 * stay on the device.
 */
function orthonormalizeByGram(x: Tensor2D, options: HostOrthonormalizeOptions): Tensor2D {
  const { parameter, accuracy = 4e-6, loose = false } = options;
  let q: Tensor2D = mul(x, 1);
  let finished = false;
  try {
    /** Squared length below which a column is only rounding noise; 0 in the first pass, where any length is meant. */
    let noiseLevel: Float64Array | undefined;
    for (let pass = 0; pass < MAX_PASSES && !finished; pass++) {
      let gram = readGram(q);
      if (pass === 0 && !wellScaled(gram, q.shape[1])) {
        q = replace(q, scaleColumns(q));
        gram = readGram(q);
      }
      if (!finiteDiagonal(gram, q.shape[1])) throw new NonFiniteMatrixError(parameter, x.shape);
      const empty = emptyColumns(gram, q.shape[1], noiseLevel);
      if (empty.length > 0) {
        q = replace(q, fillColumns(q, empty, pass));
        noiseLevel = undefined;
        continue;
      }
      const deviation = deviationFromIdentity(gram, q.shape[1]);
      if (deviation <= accuracy) {
        finished = true;
        break;
      }
      const { inverse, dependentColumns, magnification } = inverseCholesky(gram, q.shape[1], {
        pivotTolerance: PIVOT_TOLERANCE,
      });
      q = replace(q, multiplyTransposed(q, inverse));
      finished = dependentColumns.length === 0 && (loose || deviation <= NEARLY_ORTHONORMAL);
      noiseLevel = new Float64Array(magnification.length);
      for (const j of dependentColumns) noiseLevel[j] = (ROUNDING * magnification[j]!) ** 2;
    }
    // Not reached by any input seen; float64 Gram-Schmidt settles what eight passes did not.
    if (!finished) q = replace(q, orthonormalizeSmall(q, parameter));
    return q;
  } catch (error) {
    q.dispose();
    throw error;
  }
}

function replace(old: Tensor2D, next: Tensor2D): Tensor2D {
  old.dispose();
  return next;
}

function readGram(q: Tensor2D): Float32Array {
  const gram = tidy(() => matMul(transpose(q), q));
  const values = gram.dataSync<'float32'>();
  gram.dispose();
  return values;
}

/** q Z^T for the row-major lower triangular factor Z. */
function multiplyTransposed(q: Tensor2D, factor: Float32Array): Tensor2D {
  const r = q.shape[1];
  return tidy(() => matMul(q, transpose(tensor2d(factor, [r, r]))));
}

/** Squares neither underflowed nor overflowed, so the Gram matrix can be trusted. */
function wellScaled(gram: Float32Array, r: number): boolean {
  for (let j = 0; j < r; j++) {
    const length2 = gram[j * r + j]!;
    if (!(length2 > 1e-20 && length2 < 1e20)) return false;
  }
  return true;
}

/** A NaN or an infinity anywhere in a column reaches its squared length. */
function finiteDiagonal(gram: Float32Array, r: number): boolean {
  for (let j = 0; j < r; j++) if (!Number.isFinite(gram[j * r + j])) return false;
  return true;
}

function scaleColumns(x: Tensor2D): Tensor2D {
  return tidy(() => {
    const largest = transpose(max(abs(transpose(x)), 1, true)).dataSync<'float32'>();
    return div(
      x,
      tensor2d(
        largest.map(v => (v === 0 ? 1 : v)),
        [1, largest.length],
      ),
    );
  });
}

function emptyColumns(gram: Float32Array, r: number, noiseLevel: Float64Array | undefined): number[] {
  const empty: number[] = [];
  for (let j = 0; j < r; j++) if (gram[j * r + j]! <= (noiseLevel?.[j] ?? 0)) empty.push(j);
  return empty;
}

function fillColumns(q: Tensor2D, columns: readonly number[], pass: number): Tensor2D {
  const [m, r] = q.shape;
  const keep = new Float32Array(r).fill(1);
  const fill = new Float32Array(m * r);
  const unit = Math.sqrt(3 / m);
  for (const j of columns) {
    keep[j] = 0;
    counterNoise(m, j + pass * r).forEach((value, i) => {
      fill[i * r + j] = value * unit;
    });
  }
  return tidy(() => add(mul(q, tensor2d(keep, [1, r])), tensor2d(fill, [m, r])));
}

function deviationFromIdentity(gram: Float32Array, r: number): number {
  let worst = 0;
  for (let i = 0; i < r; i++) {
    for (let j = 0; j <= i; j++) worst = Math.max(worst, Math.abs(gram[i * r + j]! - (i === j ? 1 : 0)));
  }
  return worst;
}
