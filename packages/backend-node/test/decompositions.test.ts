import { soleSite } from '@frugaljs/core';
import {
  leadingSingularTriplets,
  leadingSubspace,
  NonFiniteMatrixError,
  orthonormalize,
  type Side,
} from '@frugaljs/linalg';
import { svd } from '@frugaljs/projectors';
import { matrixValues } from '@frugaljs/testing';
import { dispose, matMul, memory, randomNormal, type Tensor2D, tensor2d, tidy, zeros } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  frobenius2,
  fromTensor,
  type Matrix,
  orthonormalityError,
  product,
  referenceSvd,
  transposed,
} from '../../linalg/test/support/reference.js';
import { handles, missing, useTensorFlow, watch } from './tensorflow.js';

const matrices = (tall: boolean): fc.Arbitrary<Tensor2D> =>
  fc
    .tuple(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1, max: 40 }), fc.nat(1000), fc.nat(40))
    .map(([a, b, seed, rank]) =>
      tidy(() => {
        const [m, n] = tall ? [Math.max(a, b), Math.min(a, b)] : [a, b];
        // Some of them have fewer directions than columns, and some none.
        const inner = Math.min(rank, m, n);
        if (inner === 0) return zeros([m, n]) as Tensor2D;
        const left: Tensor2D = randomNormal([m, inner], 0, 1, 'float32', 2 * seed + 1);
        return matMul(left, randomNormal([inner, n], 0, 1, 'float32', 2 * seed + 2) as Tensor2D);
      }),
    );

const lengthOf = (a: Matrix): number => Math.sqrt(frobenius2(a));

describe.skipIf(missing !== null)("TensorFlow's own decompositions", () => {
  beforeAll(useTensorFlow);

  test.each<Side>(['left', 'right'])('the leading %s vectors capture what the best subspace can', side => {
    fc.assert(
      fc.property(matrices(false), fc.integer({ min: 1, max: 40 }), (g, wanted) => {
        const matrix = fromTensor(g);
        const rank = Math.min(wanted, ...g.shape);
        const { operations } = watch(() => {
          const basis = leadingSubspace(g, side, { rank, method: 'exact' });
          const found = fromTensor(basis);
          expect(orthonormalityError(found)).toBeLessThan(5e-6);
          const captured = frobenius2(side === 'right' ? product(matrix, found) : product(transposed(found), matrix));
          const best = referenceSvd(matrix)
            .values.slice(0, rank)
            .reduce((sum, value) => sum + value * value, 0);
          expect(captured).toBeGreaterThanOrEqual(best * (1 - 1e-4));
          basis.dispose();
        });
        expect(operations).toContain('Svd');
        g.dispose();
      }),
      { numRuns: 30, seed: 1 },
    );
  });

  // TensorFlow's own vectors are not, by far more than rounding.
  test.each<Side>(['left', 'right'])('the %s vectors of ill-conditioned matrices are orthonormal', side => {
    for (let seed = 0; seed < 12; seed++) {
      const g = tensor2d(matrixValues([40, 30], { kind: 'illConditioned', exponent: 0, seed }), [40, 30]);
      for (const rank of [4, 16, 30]) {
        const basis = leadingSubspace(g, side, { rank, method: 'exact' });
        expect(orthonormalityError(fromTensor(basis))).toBeLessThan(5e-6);
        basis.dispose();
      }
      g.dispose();
    }
  });

  test('triplets put the matrix together again, on the host path and off it', () => {
    fc.assert(
      fc.property(matrices(false), fc.boolean(), (g, host) => {
        const matrix = fromTensor(g);
        const { left, values, right } = leadingSingularTriplets(g, {
          rank: Math.min(...g.shape),
          method: 'exact',
          host,
        });
        const scale = [...values.dataSync()];
        const scaled = fromTensor(left).map(row => row.map((x, i) => x * scale[i]!));
        const again = product(scaled, transposed(fromTensor(right)));
        const off = again.map((row, i) => row.map((x, j) => x - matrix[i]![j]!));
        expect(lengthOf(off)).toBeLessThanOrEqual(1e-5 * (lengthOf(matrix) + 1e-30));
        dispose([g, left, values, right]);
      }),
      { numRuns: 30, seed: 1 },
    );
  });

  test('Q is orthonormal, R has no negative diagonal, and the columns are spanned', () => {
    fc.assert(
      fc.property(matrices(true), fc.boolean(), (x, host) => {
        const { operations } = watch(() => {
          const q = orthonormalize(x, { host });
          const [columns, basis] = [fromTensor(x), fromTensor(q)];
          expect(orthonormalityError(basis)).toBeLessThan(5e-6);
          const r = product(transposed(basis), columns);
          const off = product(basis, r).map((row, i) => row.map((value, j) => value - columns[i]![j]!));
          expect(lengthOf(off)).toBeLessThanOrEqual(1e-5 * (lengthOf(columns) + 1e-30));
          r.forEach((row, i) => void expect(row[i]!).toBeGreaterThanOrEqual(-1e-5 * lengthOf(columns)));
          q.dispose();
        });
        expect(operations).toContain('Qr');
        x.dispose();
      }),
      { numRuns: 30, seed: 1 },
    );
  });

  test('NaN and Infinity are named on the host path and do not hang off it', () => {
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const g = tensor2d([1, 2, bad, 4, 5, 6], [3, 2]);
      expect(() => leadingSubspace(g, 'right', { rank: 1, method: 'exact' })).toThrow(NonFiniteMatrixError);
      expect(() => orthonormalize(g)).toThrow(NonFiniteMatrixError);
      dispose([
        leadingSubspace(g, 'right', { rank: 1, method: 'exact', host: false }),
        orthonormalize(g, { host: false }),
        g,
      ]);
    }
  });

  test('the projector svd takes them and leaves nothing behind', () => {
    const g: Tensor2D = randomNormal([48, 32], 0, 1, 'float32', 7);
    const projector = svd({ density: 0.25 });
    const site = soleSite('w', [48, 32]);
    const refresh = (): void => {
      dispose(Object.values(tidy(() => projector.fit(g, null, { site, refreshIndex: 0 })) as Record<string, Tensor2D>));
    };
    expect(watch(refresh).operations).toContain('Svd');
    const [tensors, live] = [memory().numTensors, handles()];
    for (let i = 0; i < 5; i++) refresh();
    expect(memory().numTensors).toBe(tensors);
    expect(handles()).toBe(live);
    g.dispose();
  });
});
