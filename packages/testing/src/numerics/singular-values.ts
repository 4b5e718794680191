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
