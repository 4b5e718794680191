import { type RandomKey, randomNormals } from '@frugaljs/core';

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
