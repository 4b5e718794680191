import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createScriptKernels } from '../src/row-kernels.js';
import { symmetricEigen } from '../src/symmetric-eigen.js';
import {
  gaussianMatrix,
  type Matrix,
  orthonormalityError,
  product,
  referenceSvd,
  transposed,
} from './support/reference.js';

function decompose(a: Matrix, tolerance?: number): { values: number[]; vectors: Matrix } {
  const n = a.length;
  const { values, vectors } = symmetricEigen(a.flat(), n, { tolerance });
  return { values: [...values], vectors: a.map((_, i) => Array.from(vectors.slice(i * n, (i + 1) * n))) };
}

/** max |A v - lambda v| over all pairs, relative to the largest eigenvalue. */
function residual(a: Matrix, values: number[], vectors: Matrix): number {
  const norm = Math.max(...values.map(Math.abs), 1e-300);
  const image = product(a, transposed(vectors));
  return Math.max(...image.flatMap((row, i) => row.map((x, j) => Math.abs(x - values[j]! * vectors[j]![i]!) / norm)));
}

const symmetric = (n: number, seed: number): Matrix => {
  const x = gaussianMatrix(n, n, seed);
  return x.map((row, i) => row.map((value, j) => value + x[j]![i]!));
};

describe('symmetricEigen', () => {
  it('gives orthonormal eigenvectors in descending order for random matrices of any size', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 40 }), fc.integer(), (n, seed) => {
        const a = symmetric(n, seed);
        const { values, vectors } = decompose(a);
        expect(residual(a, values, vectors)).toBeLessThan(1e-13);
        expect(orthonormalityError(transposed(vectors))).toBeLessThan(1e-13);
        expect(values).toEqual([...values].sort((x, y) => y - x));
      }),
      { numRuns: 60 },
    );
  });

  it('agrees with singular values of an independent Jacobi method', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 16 }), fc.integer(), (n, seed) => {
        const x = gaussianMatrix(n + 3, n, seed);
        const { values } = decompose(product(transposed(x), x));
        const expected = referenceSvd(x).values;
        values.forEach((value, i) => {
          expect(Math.abs(value - expected[i]! ** 2)).toBeLessThan(1e-12 * expected[0]! ** 2);
        });
      }),
      { numRuns: 30 },
    );
  });

  it('handles graded, repeated, zero and already diagonal matrices', () => {
    const n = 12;
    const diagonal = (f: (i: number) => number): Matrix =>
      Array.from({ length: n }, (_, i) => Array.from({ length: n }, (_, j) => (i === j ? f(i) : 0)));
    const q = decompose(symmetric(n, 5)).vectors;
    const rotated = (d: Matrix): Matrix => product(transposed(q), product(d, q));
    for (const a of [
      diagonal(() => 0),
      diagonal(i => i),
      diagonal(() => 3),
      rotated(diagonal(i => 10 ** -i)),
      rotated(diagonal(i => (i < 6 ? 1 : 0))),
      rotated(diagonal(i => (i % 2 ? -1 : 1))),
    ]) {
      const { values, vectors } = decompose(a);
      expect(residual(a, values, vectors)).toBeLessThan(1e-13);
      expect(orthonormalityError(transposed(vectors))).toBeLessThan(1e-13);
    }
  });

  it('reads the lower triangle only', () => {
    const a = symmetric(9, 1);
    const upper = a.map((row, i) => row.map((x, j) => (j > i ? Number.NaN : x)));
    expect(decompose(upper)).toEqual(decompose(a));
  });

  it('is as accurate as a coarse tolerance promises, with vectors still orthonormal', () => {
    const a = symmetric(30, 8);
    const { values, vectors } = decompose(a, 1e-6);
    expect(residual(a, values, vectors)).toBeLessThan(3e-5);
    expect(orthonormalityError(transposed(vectors))).toBeLessThan(1e-13);
  });

  it('gives the same bits with the JavaScript kernels', () => {
    const a = symmetric(37, 3).flat();
    const fast = symmetricEigen(a, 37);
    const slow = symmetricEigen(a, 37, { kernels: createScriptKernels() });
    expect(fast.vectors).toEqual(slow.vectors);
    expect(fast.values).toEqual(slow.values);
  });

  it('accepts the empty matrix', () => {
    expect(symmetricEigen([], 0).values.length).toBe(0);
  });
});
