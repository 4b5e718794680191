import { matrixView, type Shape } from '@frugaljs/core';

type Numbers = ArrayLike<number>;

/** Means of the rows of a tensor seen as a matrix, in float64. */
export function rowMeans(x: Numbers, shape: Shape): number[] {
  const [rows, columns] = matrixView(shape);
  return Array.from({ length: rows }, (_, i) => {
    let sum = 0;
    for (let j = 0; j < columns; j++) sum += x[i * columns + j]!;
    return sum / columns;
  });
}

/** Means of the columns of a tensor seen as a matrix, in float64. */
export function columnMeans(x: Numbers, shape: Shape): number[] {
  const [rows, columns] = matrixView(shape);
  return Array.from({ length: columns }, (_, j) => {
    let sum = 0;
    for (let i = 0; i < rows; i++) sum += x[i * columns + j]!;
    return sum / rows;
  });
}

export function meanOf(x: Numbers): number {
  return Array.from(x).reduce((sum, value) => sum + value, 0) / x.length;
}

export function rmsOf(x: Numbers): number {
  return Math.sqrt(meanOf(Array.from(x, value => value * value)));
}

/** Eigenvalues of a symmetric matrix by Jacobi's rotations, in descending order. */
function eigenvalues(matrix: readonly (readonly number[])[]): number[] {
  const a = matrix.map(row => [...row]);
  const n = a.length;
  for (let sweep = 0; sweep < 60; sweep++) {
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        if (Math.abs(a[p]![q]!) < 1e-300) continue;
        const theta = (a[q]![q]! - a[p]![p]!) / (2 * a[p]![q]!);
        const t = (theta < 0 ? -1 : 1) / (Math.abs(theta) + Math.hypot(theta, 1));
        const c = 1 / Math.hypot(t, 1);
        const s = t * c;
        for (let k = 0; k < n; k++) {
          const [kp, kq] = [a[k]![p]!, a[k]![q]!];
          a[k]![p] = c * kp - s * kq;
          a[k]![q] = s * kp + c * kq;
        }
        for (let k = 0; k < n; k++) {
          const [pk, qk] = [a[p]![k]!, a[q]![k]!];
          a[p]![k] = c * pk - s * qk;
          a[q]![k] = s * pk + c * qk;
        }
      }
    }
  }
  return a.map((row, i) => row[i]!).sort((x, y) => y - x);
}

/** Singular values of an m × n matrix given by rows, in descending order. */
export function singularValues(x: Numbers, rows: number, columns: number): number[] {
  const gram = Array.from({ length: rows }, (_, i) =>
    Array.from({ length: rows }, (_, k) => {
      let sum = 0;
      for (let j = 0; j < columns; j++) sum += x[i * columns + j]! * x[k * columns + j]!;
      return sum;
    }),
  );
  return eigenvalues(gram)
    .slice(0, Math.min(rows, columns))
    .map(value => Math.sqrt(Math.max(0, value)));
}

/** A matrix in float64, by rows. */
export type Matrix = readonly (readonly number[])[];

export const transposed = (x: Matrix): Matrix => x[0]!.map((_, j) => x.map(row => row[j]!));
export const product = (x: Matrix, y: Matrix): Matrix =>
  x.map(row => y[0]!.map((_, j) => row.reduce((sum, value, k) => sum + value * y[k]![j]!, 0)));
export const combined = (x: Matrix, y: Matrix, f: (a: number, b: number) => number): Matrix =>
  x.map((row, i) => row.map((value, j) => f(value, y[i]![j]!)));
export const zeros = (rows: number, columns: number): Matrix =>
  Array.from({ length: rows }, () => new Array<number>(columns).fill(0));
export const matrixOf = (x: ArrayLike<number>, columns: number): Matrix =>
  Array.from({ length: x.length / columns }, (_, i) => Array.from({ length: columns }, (_, j) => x[i * columns + j]!));

/** Columns made orthonormal one after another. */
export function gramSchmidt(x: Matrix): Matrix {
  const done: number[][] = [];
  for (const column of transposed(x)) {
    let rest = [...column];
    for (let pass = 0; pass < 2; pass++) {
      for (const q of done) {
        const inner = q.reduce((sum, value, i) => sum + value * rest[i]!, 0);
        rest = rest.map((value, i) => value - inner * q[i]!);
      }
    }
    const norm = Math.hypot(...rest);
    done.push(rest.map(value => value / norm));
  }
  return transposed(done);
}
