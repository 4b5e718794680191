import { backendTraits } from '@frugaljs/core';
import {
  abs,
  add,
  concat,
  div,
  greater,
  matMul,
  max,
  mul,
  onesLike,
  relu,
  type Scalar,
  slice,
  sqrt,
  square,
  sub,
  sum,
  type Tensor2D,
  tensor2d,
  tidy,
  transpose,
  where,
} from '@tensorflow/tfjs-core';
import { nativeDecompositions } from './decompositions.js';
import { LinalgArgumentError, NonFiniteMatrixError, requireFinite, requireMatrix } from './errors.js';
import { inverseCholesky, inverseCholeskyOnDevice } from './inverse-cholesky.js';

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

/** A row is dependent when its distance to the span of the earlier ones is below this fraction of its length. */
const DEPENDENT = 1e-6;

/**
 * Orthonormalizes the `count` rows of length n in place, in float64 on the host: modified Gram-Schmidt, each row
 * projected twice. Row i keeps its orientation (the triangular factor has a positive diagonal). A zero or dependent row
 * is replaced by fixed noise made orthogonal to all rows before it, so the result is always orthonormal.
 *
 * @param rows count x n, row-major, finite, with count <= n.
 * @param from the first row to treat; those before it are orthonormal already.
 */
export function orthonormalizeRows(rows: Float64Array, count: number, n: number, from = 0): void {
  for (let i = from; i < count; i++) {
    const row = rows.subarray(i * n, (i + 1) * n);
    for (let attempt = 0; ; attempt++) {
      const before = lengthOf(row);
      project(row, rows, i, n);
      const distance = lengthOf(row);
      if (distance > DEPENDENT * before) {
        // Normalizing first keeps the second projection accurate however short the remainder is.
        scaleBy(row, 1 / distance);
        project(row, rows, i, n);
        scaleBy(row, 1 / lengthOf(row));
        break;
      }
      row.set(counterNoise(n, i + attempt * count));
    }
  }
}

function project(row: Float64Array, rows: Float64Array, count: number, n: number): void {
  for (let j = 0; j < count; j++) {
    const start = j * n;
    let dot = 0;
    for (let k = 0; k < n; k++) dot += rows[start + k]! * row[k]!;
    for (let k = 0; k < n; k++) row[k]! -= dot * rows[start + k]!;
  }
}

function lengthOf(row: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < row.length; k++) sum += row[k]! * row[k]!;
  return Math.sqrt(sum);
}

function scaleBy(row: Float64Array, factor: number): void {
  for (let k = 0; k < row.length; k++) row[k]! *= factor;
}

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

/** What float32 projections leave of a dependent unit vector is shorter than this. */
const DEPENDENT_IN_FLOAT32 = 2e-6;

/**
 * Orthonormalizes the rows of a k x n tensor as `orthonormalizeRows` does, in tfjs ops only: about 25 small operations
 * per row and no matrix product, which for a handful of rows is far less than any blocked method.
 */
function orthonormalizeRowsOnDevice(rows: Tensor2D): Tensor2D {
  return tidy(() => {
    const [count, n] = rows.shape;
    const noise = tensor2d(counterNoise(count * n, count), [count, n]);
    let done: Tensor2D | null = null;
    for (let i = 0; i < count; i++) {
      const next: Tensor2D = tidy(() => {
        const replacement = slice(noise, [i, 0], [1, n]);
        const given = slice(rows, [i, 0], [1, n]);
        const largest = max(abs(given)) as Scalar;
        const nonzero = greater(largest, 0);
        const scaled = div(given, where(nonzero, largest, onesLike(largest)));
        const first = without(unitRow(where(nonzero, scaled, replacement) as Tensor2D), done);
        const independent = greater(sum(square(first)), DEPENDENT_IN_FLOAT32 ** 2);
        const direction = where(independent, unitRow(first), unitRow(replacement)) as Tensor2D;
        // Twice more: noise has not been projected yet, and a short remainder needs it for accuracy.
        const last = unitRow(without(unitRow(without(direction, done)), done));
        return done ? concat([done, last], 0) : last;
      });
      done?.dispose();
      done = next;
    }
    return done!;
  });
}

/** v minus its projection on the rows of `basis`. */
function without(v: Tensor2D, basis: Tensor2D | null): Tensor2D {
  if (!basis) return v;
  const coefficients = sum(mul(basis, v), 1, true);
  return sub(v, sum(mul(basis, coefficients), 0, true));
}

function unitRow(v: Tensor2D): Tensor2D {
  const length = sqrt(sum(square(v)));
  return div(v, where(greater(length, 0), length, onesLike(length)));
}

/**
 * Fixed pseudo-random numbers, uniform in (-1, 1): entry i depends on (stream, i) alone, so equal calls agree on every
 * engine and backend. It serves where any generic directions do: the start of a range finder without a caller's
 * `start`, and replacements for columns that carry no direction. Not a substitute for a caller's seeded generator.
 */
export function counterNoise(length: number, stream: number): Float32Array {
  const out = new Float32Array(length);
  const key = mix(stream ^ 0x9e3779b9);
  for (let i = 0; i < length; i++) {
    // 23 bits and a half step: exact in float32, never 0.
    out[i] = (mix(i ^ key) >>> 9) / 2 ** 22 - 1 + 2 ** -23;
  }
  return out;
}

/** The 32-bit finalizer of MurmurHash3 (public domain): every input bit flips every output bit with probability 1/2. */
function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
