/** A float64 matrix as the list of its rows. */
export type Matrix = readonly (readonly number[])[];

/** Splits a flat row-major list into rows. */
export function matrixOf(flat: readonly number[], [rows, columns]: readonly [number, number]): number[][] {
  return Array.from({ length: rows }, (_, i) => flat.slice(i * columns, (i + 1) * columns));
}

export function flipped(a: Matrix, columns: number): number[][] {
  return Array.from({ length: columns }, (_, j) => a.map(row => row[j]!));
}

/** @param columns Columns of b, which may have no rows to tell. */
export function product(a: Matrix, b: Matrix, columns: number): number[][] {
  return a.map(row => Array.from({ length: columns }, (_, j) => row.reduce((sum, x, k) => sum + x * b[k]![j]!, 0)));
}

export interface SingularValues {
  /** min(m, n) left vectors, each a list. */
  readonly left: Matrix;
  readonly values: readonly number[];
  readonly right: Matrix;
}

/** Thin singular value decomposition by one-sided Jacobi rotations of the rows of the narrower orientation. */
export function singularValues(a: Matrix): SingularValues {
  const [m, n] = [a.length, a[0]!.length];
  if (m > n) {
    const { left, values, right } = singularValues(flipped(a, n));
    return { left: right, values, right: left };
  }
  // Rows u_iᵀA are rotated until they are orthogonal; U collects the rotations.
  const rows = a.map(row => [...row]);
  const rotations = rows.map((_, i) => rows.map((_row, j) => (i === j ? 1 : 0)));
  for (let sweep = 0; sweep < 60; sweep++) {
    let largest = 0;
    for (let p = 0; p < m; p++) {
      for (let q = p + 1; q < m; q++) {
        const [alpha, beta] = [dot(rows[p]!, rows[p]!), dot(rows[q]!, rows[q]!)];
        const gamma = dot(rows[p]!, rows[q]!);
        if (gamma === 0) continue;
        largest = Math.max(largest, Math.abs(gamma) / Math.sqrt(alpha * beta));
        const zeta = (beta - alpha) / (2 * gamma);
        const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.hypot(1, zeta));
        const c = 1 / Math.hypot(1, t);
        rotate(rows[p]!, rows[q]!, c, c * t);
        rotate(rotations[p]!, rotations[q]!, c, c * t);
      }
    }
    if (largest < 1e-15) break;
  }
  const order = rows.map((row, i) => ({ i, value: Math.sqrt(dot(row, row)) })).sort((x, y) => y.value - x.value);
  return {
    left: order.map(({ i }) => rotations[i]!),
    values: order.map(({ value }) => value),
    right: order.map(({ i, value }) => rows[i]!.map(x => x / value)),
  };
}

/** Rows with orthonormal lengths and directions, by Gram-Schmidt. */
export function orthonormalRows(a: Matrix): number[][] {
  const done: number[][] = [];
  for (const row of a) {
    let rest = [...row];
    for (let pass = 0; pass < 2; pass++) {
      for (const other of done) {
        const along = dot(rest, other);
        rest = rest.map((x, k) => x - along * other[k]!);
      }
    }
    const length = Math.sqrt(dot(rest, rest));
    done.push(rest.map(x => x / length));
  }
  return done;
}

function dot(x: readonly number[], y: readonly number[]): number {
  return x.reduce((sum, value, i) => sum + value * y[i]!, 0);
}

function rotate(p: number[], q: number[], c: number, s: number): void {
  for (let k = 0; k < p.length; k++) {
    const [x, y] = [p[k]!, q[k]!];
    p[k] = c * x - s * y;
    q[k] = s * x + c * y;
  }
}
