import { type RandomKey, randomNormals } from '@frugaljs/core';

// Plain arithmetic in float64 on the host: what laws compare with must not come from the backend under test.

export type Numbers = ArrayLike<number>;

/** Σ aᵢ bᵢ. */
export function dot(a: Numbers, b: Numbers): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Euclidean norm, safe from overflow and underflow. */
export function norm(a: Numbers): number {
  const largest = maxAbs(a);
  if (largest === 0 || !Number.isFinite(largest)) return largest;
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i]! / largest) ** 2;
  return largest * Math.sqrt(sum);
}

/** Largest |aᵢ|; NaN if an entry is. */
export function maxAbs(a: Numbers): number {
  let largest = 0;
  for (let i = 0; i < a.length; i++) {
    const size = Math.abs(a[i]!);
    if (!(size <= largest)) largest = size;
    if (Number.isNaN(size)) return size;
  }
  return largest;
}

/** Position and size of the largest |aᵢ - bᵢ|; infinite when the lengths differ or one is NaN where the other is not. */
export function farthest(a: Numbers, b: Numbers): { readonly at: number; readonly distance: number } {
  if (a.length !== b.length) return { at: -1, distance: Number.POSITIVE_INFINITY };
  let at = 0;
  let distance = 0;
  for (let i = 0; i < a.length; i++) {
    const [x, y] = [a[i]!, b[i]!];
    if (Object.is(x, y) || x === y) continue;
    const d = Math.abs(x - y);
    if (Number.isNaN(d)) return { at: i, distance: Number.POSITIVE_INFINITY };
    if (d > distance) [at, distance] = [i, d];
  }
  return { at, distance };
}

/** a + factor · b. */
export function axpy(a: Numbers, factor: number, b: Numbers): Float64Array {
  return Float64Array.from({ length: a.length }, (_, i) => a[i]! + factor * b[i]!);
}

export function scaled(a: Numbers, factor: number): Float64Array {
  return Float64Array.from({ length: a.length }, (_, i) => factor * a[i]!);
}

/** Rows of a random semi-orthogonal matrix: Gram–Schmidt in float64, twice over each vector. */
export function orthonormalRows(count: number, dimension: number, key: RandomKey): Float64Array[] {
  const normals = randomNormals(key, count * dimension);
  const rows: Float64Array[] = [];
  for (let k = 0; k < count; k++) {
    const v = Float64Array.from(normals.subarray(k * dimension, (k + 1) * dimension));
    for (let pass = 0; pass < 2; pass++) {
      for (const u of rows) {
        let along = 0;
        for (let i = 0; i < dimension; i++) along += u[i]! * v[i]!;
        for (let i = 0; i < dimension; i++) v[i]! -= along * u[i]!;
      }
    }
    const length = Math.hypot(...v);
    rows.push(v.map(x => x / length));
  }
  return rows;
}

/**
 * Singular values of an m × n matrix given by rows, largest first: one-sided Jacobi rotations in float64. For the small
 * matrices of a test.
 */
export function singularValues(values: ArrayLike<number>, m: number, n: number): Float64Array {
  // Columns of the matrix, or of its transpose when that has fewer.
  const [count, length] = m >= n ? [n, m] : [m, n];
  const columns = Array.from({ length: count }, (_, c) =>
    Float64Array.from({ length }, (_, r) => values[m >= n ? r * n + c : c * n + r]!),
  );
  for (let sweep = 0; sweep < 60; sweep++) {
    if (!sweepPairs(columns)) break;
  }
  return Float64Array.from(columns, column => Math.hypot(...column)).sort((a, b) => b - a);
}

/** Makes every pair of columns orthogonal once; false when all were. */
function sweepPairs(columns: readonly Float64Array[]): boolean {
  let rotated = false;
  for (let p = 0; p < columns.length; p++) {
    for (let q = p + 1; q < columns.length; q++) rotated = rotatePair(columns[p]!, columns[q]!) || rotated;
  }
  return rotated;
}

function rotatePair(x: Float64Array, y: Float64Array): boolean {
  let [xx, yy, xy] = [0, 0, 0];
  for (let i = 0; i < x.length; i++) {
    xx += x[i]! * x[i]!;
    yy += y[i]! * y[i]!;
    xy += x[i]! * y[i]!;
  }
  if (xy === 0 || Math.abs(xy) <= 1e-15 * Math.sqrt(xx * yy)) return false;
  const zeta = (yy - xx) / (2 * xy);
  const t = (zeta >= 0 ? 1 : -1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
  const cosine = 1 / Math.sqrt(1 + t * t);
  for (let i = 0; i < x.length; i++) {
    const [a, b] = [x[i]!, y[i]!];
    x[i] = cosine * (a - t * b);
    y[i] = cosine * (t * a + b);
  }
  return true;
}
