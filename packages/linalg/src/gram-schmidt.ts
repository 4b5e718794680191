import { counterNoise } from './counter-noise.js';

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
      const before = length(row);
      project(row, rows, i, n);
      const distance = length(row);
      if (distance > DEPENDENT * before) {
        // Normalizing first keeps the second projection accurate however short the remainder is.
        scaleBy(row, 1 / distance);
        project(row, rows, i, n);
        scaleBy(row, 1 / length(row));
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

function length(row: Float64Array): number {
  let sum = 0;
  for (let k = 0; k < row.length; k++) sum += row[k]! * row[k]!;
  return Math.sqrt(sum);
}

function scaleBy(row: Float64Array, factor: number): void {
  for (let k = 0; k < row.length; k++) row[k]! *= factor;
}
