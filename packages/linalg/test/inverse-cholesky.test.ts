import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inverseCholesky, inverseCholeskyOnDevice } from '../src/inverse-cholesky.js';
import { describeOnBackends, expectTensors } from './support/backends.js';
import { fromTensor, gaussianMatrix, type Matrix, product, toTensor, transposed } from './support/reference.js';

function gramOf(x: Matrix): Matrix {
  return product(transposed(x), x);
}

function identityError(z: Matrix, a: Matrix): number {
  const image = product(product(z, a), transposed(z));
  return Math.max(...image.flatMap((row, i) => row.map((value, j) => Math.abs(value - (i === j ? 1 : 0)))));
}

function isLowerWithPositiveDiagonal(z: Matrix): boolean {
  return z.every((row, i) => row[i]! > 0 && row.every((value, j) => j <= i || value === 0));
}

describe('inverseCholesky', () => {
  it('gives lower triangular Z with positive diagonal and Z A Z^T = I, whatever the scale of the columns', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), fc.integer({ min: -6, max: 6 }), fc.integer(), (n, decade, seed) => {
        const x = gaussianMatrix(n + 10, n, seed).map(row => row.map((value, j) => value * 10 ** (j % 2 ? decade : 0)));
        const a = gramOf(x);
        const { inverse, dependentColumns } = inverseCholesky(a.flat(), n, { pivotTolerance: 1e-12 });
        const z = a.map((_, i) => Array.from(inverse.slice(i * n, (i + 1) * n)));
        expect(dependentColumns).toEqual([]);
        expect(isLowerWithPositiveDiagonal(z)).toBe(true);
        expect(identityError(z, a)).toBeLessThan(1e-4);
      }),
      { numRuns: 40 },
    );
  });

  it('names zero and dependent columns and leaves the others orthonormal', () => {
    const x = gaussianMatrix(20, 5, 3).map(([a, b, c, d, e]) => [a!, 0, b!, a! - 2 * b!, c!, d!, e!]);
    const { inverse, dependentColumns } = inverseCholesky(gramOf(x).flat(), 7, { pivotTolerance: 1e-8 });
    expect(dependentColumns).toEqual([1, 3]);
    const q = product(x, transposed(x[0]!.map((_, i) => Array.from(inverse.slice(i * 7, (i + 1) * 7)))));
    const kept = q.map(row => [0, 2, 4, 5, 6].map(j => row[j]!));
    expect(
      identityError(
        [
          [1, 0, 0, 0, 0],
          [0, 1, 0, 0, 0],
          [0, 0, 1, 0, 0],
          [0, 0, 0, 1, 0],
          [0, 0, 0, 0, 1],
        ],
        gramOf(kept),
      ),
    ).toBeLessThan(1e-5);
    for (const row of q) {
      expect(row[1]).toBe(0);
      expect(Math.abs(row[3]!)).toBeLessThan(1e-5);
    }
  });
});

describeOnBackends('inverseCholeskyOnDevice', () => {
  it('converges to the same factor by matrix products alone', () => {
    for (const [m, n] of [
      [30, 1],
      [40, 12],
      [26, 24],
    ] as const) {
      const a = gramOf(gaussianMatrix(m, n, n));
      const tensor = toTensor(a);
      const z = expectTensors(1, () => inverseCholeskyOnDevice(tensor, { shift: 0, iterations: 24 }));
      const found = fromTensor(z);
      const expected = inverseCholesky(a.flat(), n, { pivotTolerance: 1e-12 }).inverse;
      const size = Math.max(...expected);
      found.flat().forEach((value, i) => {
        expect(Math.abs(value - expected[i]!)).toBeLessThan(1e-3 * size);
      });
      tensor.dispose();
      z.dispose();
    }
  });
});
