import type { Tensor2D } from '@tensorflow/tfjs-core';
import { tensor2d } from '@tensorflow/tfjs-core';

/** A dense float64 matrix of the reference computations: rows of numbers. */
export type Matrix = number[][];

export function toTensor(a: Matrix): Tensor2D {
  return tensor2d(Float32Array.from(a.flat()), [a.length, a[0]!.length]);
}

export function fromTensor(x: Tensor2D): Matrix {
  const [m, n] = x.shape;
  const data = x.dataSync();
  return Array.from({ length: m }, (_, i) => Array.from(data.slice(i * n, (i + 1) * n)));
}

export function transposed(a: Matrix): Matrix {
  return a[0]!.map((_, j) => a.map(row => row[j]!));
}

export function product(a: Matrix, b: Matrix): Matrix {
  const columns = transposed(b);
  return a.map(row => columns.map(column => row.reduce((sum, x, k) => sum + x * column[k]!, 0)));
}

/** max |Q^T Q - I|. */
export function orthonormalityError(q: Matrix): number {
  const gram = product(transposed(q), q);
  return Math.max(0, ...gram.flatMap((row, i) => row.map((x, j) => Math.abs(x - (i === j ? 1 : 0)))));
}

export function frobenius2(a: Matrix): number {
  return a.flat().reduce((sum, x) => sum + x * x, 0);
}

/** A seeded sequence of standard normal numbers (mulberry32 and Box-Muller): tests must not depend on Math.random. */
export function gaussians(seed: number): () => number {
  let state = seed | 0;
  const uniform = (): number => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  return () => Math.sqrt(-2 * Math.log(1 - uniform())) * Math.cos(2 * Math.PI * uniform());
}

export function gaussianMatrix(m: number, n: number, seed: number): Matrix {
  const next = gaussians(seed);
  return Array.from({ length: m }, () => Array.from({ length: n }, next));
}

export interface ReferenceSvd {
  readonly values: number[];
  /** Columns are the vectors, descending. */
  readonly left: Matrix;
  readonly right: Matrix;
}

/** One-sided Jacobi with cyclic ordering in float64: slow, short, and unlike anything in src. */
export function referenceSvd(a: Matrix): ReferenceSvd {
  if (a.length < a[0]!.length) {
    const { values, left, right } = referenceSvd(transposed(a));
    return { values, left: right, right: left };
  }
  const n = a[0]!.length;
  const u = transposed(a);
  const v: Matrix = Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => (i === j ? 1 : 0)));
  const dot = (x: number[], y: number[]): number => x.reduce((sum, value, k) => sum + value * y[k]!, 0);
  for (let sweep = 0, turned = true; turned && sweep < 40; sweep++) {
    turned = false;
    for (let p = 0; p < n; p++) {
      for (let q = p + 1; q < n; q++) {
        const alpha = dot(u[p]!, u[p]!);
        const beta = dot(u[q]!, u[q]!);
        const gamma = dot(u[p]!, u[q]!);
        if (Math.abs(gamma) <= 1e-15 * Math.sqrt(alpha * beta) || gamma === 0) continue;
        turned = true;
        const zeta = (beta - alpha) / (2 * gamma);
        const t = (zeta < 0 ? -1 : 1) / (Math.abs(zeta) + Math.sqrt(1 + zeta * zeta));
        const c = 1 / Math.sqrt(1 + t * t);
        for (const rows of [u, v]) {
          const [x, y] = [rows[p]!, rows[q]!];
          rows[p] = x.map((value, k) => c * value - c * t * y[k]!);
          rows[q] = x.map((value, k) => c * t * value + c * y[k]!);
        }
      }
    }
  }
  const lengths = u.map(row => Math.sqrt(dot(row, row)));
  const order = lengths.map((_, i) => i).sort((i, j) => lengths[j]! - lengths[i]!);
  return {
    values: order.map(i => lengths[i]!),
    left: transposed(order.map(i => u[i]!.map(x => (lengths[i]! > 0 ? x / lengths[i]! : 0)))),
    right: transposed(order.map(i => v[i]!)),
  };
}

/** U diag(values) V^T with random orthonormal U (m x k) and V (n x k). */
export function withSpectrum(m: number, n: number, values: readonly number[], seed: number): Matrix {
  const k = values.length;
  const u = referenceQr(gaussianMatrix(m, k, seed));
  const v = referenceQr(gaussianMatrix(n, k, seed + 1));
  return product(
    u.map(row => row.map((x, i) => x * values[i]!)),
    transposed(v),
  );
}

/** Q with a positive diagonal of R, by Householder-free modified Gram-Schmidt, twice. */
export function referenceQr(a: Matrix): Matrix {
  const columns = transposed(a);
  for (let i = 0; i < columns.length; i++) {
    for (let pass = 0; pass < 2; pass++) {
      for (let j = 0; j < i; j++) {
        const d = columns[i]!.reduce((sum, x, k) => sum + x * columns[j]![k]!, 0);
        columns[i] = columns[i]!.map((x, k) => x - d * columns[j]![k]!);
      }
      const length = Math.sqrt(columns[i]!.reduce((sum, x) => sum + x * x, 0));
      columns[i] = columns[i]!.map(x => x / length);
    }
  }
  return transposed(columns);
}

/** Largest difference between matching columns, each up to its sign. */
export function columnDifference(a: Matrix, b: Matrix): number {
  const [x, y] = [transposed(a), transposed(b)];
  return Math.max(
    ...x.map((column, i) => {
      const sign = Math.sign(column.reduce((sum, value, k) => sum + value * y[i]![k]!, 0));
      return Math.max(...column.map((value, k) => Math.abs(value - sign * y[i]![k]!)));
    }),
  );
}
