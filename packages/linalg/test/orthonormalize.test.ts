import { memory, tensor1d, tensor2d } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LinalgArgumentError, NonFiniteMatrixError, orthonormalize } from '../src/index.js';
import { describeOnBackends, expectTensors } from './support/backends.js';
import {
  frobenius2,
  fromTensor,
  gaussianMatrix,
  type Matrix,
  orthonormalityError,
  product,
  referenceQr,
  toTensor,
  transposed,
  withSpectrum,
} from './support/reference.js';

function orthonormalized(a: Matrix, host: boolean): Matrix {
  const x = toTensor(a);
  const q = expectTensors(1, () => orthonormalize(x, { host }));
  const result = fromTensor(q);
  x.dispose();
  q.dispose();
  return result;
}

/** How much of A the span of Q misses, relative to A. */
function missed(a: Matrix, q: Matrix): number {
  const inside = product(q, product(transposed(q), a));
  return Math.sqrt(frobenius2(a.map((row, i) => row.map((x, j) => x - inside[i]![j]!))) / frobenius2(a));
}

const widen = (a: Matrix, columns: (row: number[]) => number[]): Matrix => a.map(columns);

describeOnBackends('orthonormalize', () => {
  for (const host of [true, false]) {
    const path = host ? 'host path' : 'device path';

    it(`${path}: is the Q of a QR decomposition with positive diagonal, for random shapes`, () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 24 }), fc.integer({ min: 0, max: 30 }), fc.integer(), (r, more, seed) => {
          const a = gaussianMatrix(r + more + 8, r, seed);
          const q = orthonormalized(a, host);
          const expected = referenceQr(a);
          expect(orthonormalityError(q)).toBeLessThan(3e-6);
          const difference = q.flatMap((row, i) => row.map((x, j) => Math.abs(x - expected[i]![j]!)));
          expect(Math.max(...difference)).toBeLessThan(1e-5);
        }),
        { numRuns: 8 },
      );
    });

    it(`${path}: stays orthonormal and keeps the span for ill-conditioned columns`, () => {
      for (const [m, r, decades] of [
        [60, 12, 3],
        [60, 40, 5],
        [40, 40, 2],
      ] as const) {
        const spectrum = Array.from({ length: r }, (_, i) => 10 ** ((-decades * i) / (r - 1)));
        const a = withSpectrum(m, r, spectrum, m);
        const q = orthonormalized(a, host);
        expect(orthonormalityError(q)).toBeLessThan(5e-6);
        expect(missed(a, q)).toBeLessThan(2e-5);
      }
    });

    it(`${path}: replaces zero, duplicated and dependent columns by orthonormal ones`, () => {
      const base = gaussianMatrix(80, 30, 4);
      const cases: Matrix[] = [
        widen(base, row => row.map(() => 0)),
        widen(base, row => [...row, ...row]),
        widen(base, row => [0, 0, ...row, row[0]! + row[1]!, -2 * row[2]!]),
        base.map(row => row.map(() => row[0]!)),
        product(gaussianMatrix(50, 4, 1), gaussianMatrix(4, 50, 2)),
      ];
      for (const a of cases) {
        const q = orthonormalized(a, host);
        expect(orthonormalityError(q)).toBeLessThan(5e-6);
        if (frobenius2(a) > 0) expect(missed(a, q)).toBeLessThan(2e-5);
      }
    });

    it(`${path}: is indifferent to the scale of columns, over most of the float32 range`, () => {
      const a = gaussianMatrix(70, 20, 9);
      const scaled = widen(a, row => row.map((x, j) => x * 10 ** (3 * j - 30)));
      const [q, p] = [orthonormalized(a, host), orthonormalized(scaled, host)];
      expect(Math.max(...q.flatMap((row, i) => row.map((x, j) => Math.abs(x - p[i]![j]!))))).toBeLessThan(1e-5);
    });

    it(`${path}: equal inputs give equal bits`, () => {
      const a = widen(gaussianMatrix(50, 10, 2), row => [...row, row[0]!, 0]);
      expect(orthonormalized(a, host)).toEqual(orthonormalized(a, host));
    });

    it(`${path}: shares no memory with its input, even an orthonormal one, and accepts no columns`, () => {
      const x = tensor2d([1, 0, 0, 1, 0, 0], [3, 2]);
      const q = orthonormalize(x, { host });
      x.dispose();
      const values = Array.from(q.dataSync());
      [1, 0, 0, 1, 0, 0].forEach((expected, i) => {
        expect(values[i]).toBeCloseTo(expected, 5);
      });
      q.dispose();
      const empty = tensor2d([], [5, 0]);
      expect(orthonormalize(empty, { host }).shape).toEqual([5, 0]);
    });
  }

  it('host path: large matrices go by their Gram matrix and meet the same bounds', () => {
    const base = gaussianMatrix(400, 60, 3);
    const spectrum = Array.from({ length: 90 }, (_, i) => 10 ** (-i / 22));
    for (const a of [
      base,
      widen(base, row => [...row.slice(0, 40), ...row.slice(0, 10), ...row.slice(40), 0, row[1]! - row[50]!]),
      withSpectrum(300, 90, spectrum, 7),
      widen(base, row => row.map((x, j) => x * 10 ** (j - 30))),
    ]) {
      const q = orthonormalized(a, true);
      expect(orthonormalityError(q)).toBeLessThan(5e-6);
      expect(missed(a, q)).toBeLessThan(2e-5);
    }
  });

  it('host path: a non-finite entry is an error naming the matrix, and nothing leaks', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      for (const [m, r] of [
        [6, 3],
        [400, 60],
      ] as const) {
        const a = gaussianMatrix(m, r, 1);
        a[2]![1] = bad;
        const x = toTensor(a);
        const before = memory().numTensors;
        expect(() => orthonormalize(x, { host: true })).toThrow(NonFiniteMatrixError);
        expect(() => orthonormalize(x, { host: true })).toThrow(`x (${m}x${r}) contains NaN`);
        expect(memory().numTensors).toBe(before);
        x.dispose();
      }
    }
  });

  it('rejects wide matrices, other ranks and other types', () => {
    expect(() => orthonormalize(tensor2d([1, 2], [1, 2]))).toThrow(LinalgArgumentError);
    expect(() => orthonormalize(tensor1d([1, 2]) as never)).toThrow('a matrix');
    expect(() => orthonormalize(tensor2d([1, 2], [2, 1], 'int32'))).toThrow('float32');
  });
});
