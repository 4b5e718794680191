import { memory, tensor2d } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import {
  LinalgArgumentError,
  leadingSingularTriplets,
  leadingSubspace,
  NonFiniteMatrixError,
  type Side,
  type SubspaceOptions,
} from '../src/index.js';
import { describeOnBackends, expectTensors } from './support/backends.js';
import {
  columnDifference,
  frobenius2,
  fromTensor,
  gaussianMatrix,
  type Matrix,
  orthonormalityError,
  product,
  referenceSvd,
  toTensor,
  transposed,
  withSpectrum,
} from './support/reference.js';

const SIDES: readonly Side[] = ['left', 'right'];
/** Every algorithm, as options that select it for small matrices too. */
const ALGORITHMS: Record<string, Partial<SubspaceOptions>> = {
  'exact host': { host: true, method: 'exact' },
  'randomized host': { host: true, method: 'randomized' },
  'exact device': { host: false, method: 'exact' },
  'randomized device': { host: false, method: 'randomized' },
};

const rounded = (a: Matrix): Matrix => a.map(row => row.map(Math.fround));

function basisOf(a: Matrix, side: Side, options: SubspaceOptions): Matrix {
  const g = toTensor(a);
  const basis = expectTensors(1, () => leadingSubspace(g, side, options));
  const result = fromTensor(basis);
  g.dispose();
  basis.dispose();
  return result;
}

/** |P G|^2 for the projection onto the basis. */
function energy(a: Matrix, side: Side, basis: Matrix): number {
  return frobenius2(side === 'right' ? product(a, basis) : product(transposed(basis), a));
}

/** Decaying like a language model's gradient: a few large directions, then a slow tail. */
const gradientSpectrum = (k: number): number[] =>
  Array.from({ length: k }, (_, i) => (i + 1) ** -0.6 * Math.exp((-2 * i) / k));

/** Smallest distance of sigma_i to another singular value or, on the larger side, to zero. */
function gap(values: readonly number[], i: number): number {
  const others = values.flatMap((value, j) => (j === i ? [] : [Math.abs(value - values[i]!)]));
  return Math.min(values[i]!, ...others);
}

describeOnBackends('leadingSubspace', () => {
  for (const method of ['exact host', 'exact device']) {
    it(`${method}: columns are the singular vectors of small matrices without spectral gaps`, () => {
      fc.assert(
        fc.property(fc.integer({ min: 1, max: 10 }), fc.integer({ min: 1, max: 10 }), fc.integer(), (m, n, seed) => {
          const a = rounded(gaussianMatrix(m, n, seed));
          const { values, left, right } = referenceSvd(a);
          for (const side of SIDES) {
            const basis = basisOf(a, side, { rank: Math.min(m, n), ...ALGORITHMS[method] });
            const expected = side === 'right' ? right : left;
            values.forEach((_, i) => {
              const column = (x: Matrix): Matrix => x.map(row => [row[i]!]);
              const difference = columnDifference(column(basis), column(expected));
              const sensitivity = values[0]! / gap(values, i);
              expect(difference).toBeLessThan(
                method === 'exact host' ? 2e-7 + 1e-14 * sensitivity ** 2 : 4e-6 * sensitivity,
              );
            });
          }
        }),
        { numRuns: method === 'exact host' ? 40 : 6 },
      );
    });
  }

  it('is exact by default for small matrices', () => {
    for (const [m, n] of [
      [8, 6],
      [4, 8],
      [40, 100],
    ] as const) {
      const a = rounded(gaussianMatrix(m, n, m));
      const { left, right } = referenceSvd(a);
      expect(
        columnDifference(
          basisOf(a, 'right', { rank: 3, host: true }),
          right.map(row => row.slice(0, 3)),
        ),
      ).toBeLessThan(1e-6);
      expect(
        columnDifference(
          basisOf(a, 'left', { rank: 3, host: true }),
          left.map(row => row.slice(0, 3)),
        ),
      ).toBeLessThan(1e-6);
    }
  });

  for (const [name, selection] of Object.entries(ALGORITHMS)) {
    const small = name.endsWith('device');

    it(`${name}: is orthonormal and captures the Eckart-Young energy of decaying spectra`, () => {
      fc.assert(
        fc.property(
          fc.integer({ min: 6, max: small ? 16 : 60 }),
          fc.integer({ min: 6, max: small ? 16 : 60 }),
          fc.double({ min: 0.1, max: 0.9, noNaN: true }),
          fc.integer(),
          (m, n, density, seed) => {
            const spectrum = gradientSpectrum(Math.min(m, n));
            const a = withSpectrum(m, n, spectrum, seed);
            const rank = Math.max(1, Math.round(density * spectrum.length));
            const optimum = spectrum.slice(0, rank).reduce((sum, s) => sum + s * s, 0);
            for (const side of SIDES) {
              const basis = basisOf(a, side, { rank, ...selection });
              expect(orthonormalityError(basis)).toBeLessThan(1e-5);
              const captured = energy(a, side, basis) / optimum;
              expect(captured).toBeLessThan(1 + 2e-5);
              expect(captured).toBeGreaterThan(name.startsWith('exact') ? 1 - 2e-5 : 0.99);
            }
          },
        ),
        { numRuns: small ? 4 : 8 },
      );
    });

    it(`${name}: lists the vectors in descending order, diagonalizing the projected matrix`, () => {
      const a = withSpectrum(30, 20, gradientSpectrum(20), 3);
      const image = product(a, basisOf(a, 'right', { rank: 6, iterations: 12, ...selection }));
      const gram = product(transposed(image), image);
      const lengths = gram.map((row, i) => Math.sqrt(row[i]!));
      expect(lengths).toEqual([...lengths].sort((x, y) => y - x));
      lengths.forEach((length, i) => {
        expect(Math.abs(length - gradientSpectrum(20)[i]!)).toBeLessThan(1e-4);
      });
      gram.forEach((row, i) => {
        for (let j = 0; j < i; j++) expect(Math.abs(row[j]!)).toBeLessThan(2e-3 * lengths[i]! * lengths[j]!);
      });
    });

    it(`${name}: handles rank 0, full rank, single rows and columns, zero and rank-deficient matrices`, () => {
      const cases: { a: Matrix; rank: number; columns: number }[] = [
        { a: gaussianMatrix(5, 7, 1), rank: 0, columns: 0 },
        { a: gaussianMatrix(5, 7, 1), rank: 5, columns: 5 },
        { a: gaussianMatrix(7, 5, 1), rank: 9, columns: 5 },
        { a: gaussianMatrix(1, 6, 2), rank: 2, columns: 1 },
        { a: gaussianMatrix(6, 1, 2), rank: 1, columns: 1 },
        { a: [[-3]], rank: 1, columns: 1 },
        { a: gaussianMatrix(6, 5, 3).map(row => row.map(() => 0)), rank: 3, columns: 3 },
        { a: product(gaussianMatrix(9, 2, 4), gaussianMatrix(2, 8, 5)), rank: 5, columns: 5 },
      ];
      for (const { a, rank, columns } of cases) {
        for (const side of SIDES) {
          const g = toTensor(a);
          const tensor = leadingSubspace(g, side, { rank, ...selection });
          expect(tensor.shape).toEqual([side === 'right' ? a[0]!.length : a.length, columns]);
          if (columns > 0) {
            const basis = fromTensor(tensor);
            expect(orthonormalityError(basis)).toBeLessThan(1e-5);
            const optimum = referenceSvd(a)
              .values.slice(0, columns)
              .reduce((sum, s) => sum + s * s, 0);
            expect(Math.abs(energy(a, side, basis) - optimum)).toBeLessThanOrEqual(2e-5 * optimum);
          }
          g.dispose();
          tensor.dispose();
        }
      }
    });

    it(`${name}: equal inputs give equal bits, and the result owns exactly its own bytes`, () => {
      const a = gaussianMatrix(20, 12, 6);
      expect(basisOf(a, 'right', { rank: 4, ...selection })).toEqual(basisOf(a, 'right', { rank: 4, ...selection }));
      const g = toTensor(a);
      const before = memory().numBytes;
      const basis = leadingSubspace(g, 'left', { rank: 4, ...selection });
      expect(memory().numBytes - before).toBe(20 * 4 * 4);
      g.dispose();
      basis.dispose();
    });

    it(`${name}: gives the same subspace for gradients of any float32 magnitude`, () => {
      const a = withSpectrum(16, 12, gradientSpectrum(12), 8);
      for (const scale of [1e-30, 1e-12, 1e12, 1e30]) {
        const scaled = a.map(row => row.map(x => x * scale));
        const basis = basisOf(scaled, 'right', { rank: 5, ...selection });
        expect(orthonormalityError(basis)).toBeLessThan(1e-5);
        const reference = basisOf(a, 'right', { rank: 5, ...selection });
        expect(columnDifference(basis, reference)).toBeLessThan(2e-3);
      }
    });

    it(`${name}: triplets of matching sign reproduce the matrix on the subspace`, () => {
      for (const [m, n] of [
        [14, 9],
        [9, 14],
      ] as const) {
        const a = withSpectrum(m, n, gradientSpectrum(9), 21);
        const g = toTensor(a);
        const options = { rank: 4, iterations: 15, ...selection };
        const triplets = expectTensors(3, () => leadingSingularTriplets(g, options));
        const [left, right] = [fromTensor(triplets.left), fromTensor(triplets.right)];
        expect(orthonormalityError(left)).toBeLessThan(1e-5);
        expect(orthonormalityError(right)).toBeLessThan(1e-5);
        const values = Array.from(triplets.values.dataSync());
        product(transposed(left), product(a, right)).forEach((row, i) => {
          row.forEach((x, j) => {
            expect(Math.abs(x - (i === j ? values[i]! : 0))).toBeLessThan(2e-3);
          });
          expect(Math.abs(values[i]! - gradientSpectrum(9)[i]!)).toBeLessThan(1e-4);
        });
        for (const t of [g, triplets.left, triplets.right, triplets.values]) t.dispose();
      }
    });
  }

  it('randomized: large matrices on the host path, cold, warm, unaligned, and near full rank', () => {
    const [m, n] = [160, 260];
    const spectrum = gradientSpectrum(160);
    const a = withSpectrum(m, n, spectrum, 31);
    const noisy = a.map((row, i) => row.map((x, j) => x + 0.002 * Math.sin(i * 37 + j * 11)));
    const previous = toTensor(basisOf(noisy, 'right', { rank: 40, host: true }));
    const optimum = (rank: number): number => spectrum.slice(0, rank).reduce((sum, s) => sum + s * s, 0);
    for (const [options, share] of [
      [{ rank: 40 }, 0.995],
      [{ rank: 40, iterations: 1 }, 0.97],
      [{ rank: 40, start: previous }, 0.995],
      [{ rank: 40, start: previous, align: false }, 0.995],
      [{ rank: 70, start: previous }, 0.97],
      [{ rank: 20, start: previous }, 0.995],
      [{ rank: 130 }, 0.9999],
      [{ rank: 160 }, 0.9999],
    ] as const) {
      for (const side of SIDES) {
        if ('start' in options && side === 'left') continue;
        const basis = basisOf(a, side, { ...options, host: true, method: 'randomized' });
        expect(orthonormalityError(basis)).toBeLessThan(1e-5);
        expect(energy(a, side, basis) / optimum(options.rank)).toBeGreaterThan(share);
      }
    }
    previous.dispose();
  });

  it('a start that already spans the subspace makes one iteration exact', () => {
    const a = withSpectrum(40, 30, [5, 4, 3, 2, 1], 2);
    const { right } = referenceSvd(a);
    const mixed = product(
      right.map(row => row.slice(0, 5)),
      gaussianMatrix(5, 5, 1),
    );
    const start = toTensor(mixed);
    for (const host of [true, false]) {
      const options = { rank: 5, start, oversampling: 0, method: 'randomized', host } as const;
      expect(
        columnDifference(
          basisOf(a, 'right', options),
          right.map(row => row.slice(0, 5)),
        ),
      ).toBeLessThan(2e-5);
    }
    start.dispose();
  });

  it('host path: a non-finite gradient is an error, nothing leaks, and a later call works', () => {
    for (const bad of [Number.NaN, Number.NEGATIVE_INFINITY]) {
      for (const options of [
        { rank: 3 },
        { rank: 3, method: 'randomized' },
        { rank: 30, method: 'randomized' },
        { rank: 10, method: 'randomized', iterations: 3 },
      ] as const) {
        const a = gaussianMatrix(80, 34, 1);
        a[50]![7] = bad;
        const g = toTensor(a);
        const before = memory().numTensors;
        for (const side of SIDES) {
          expect(() => leadingSubspace(g, side, { host: true, ...options })).toThrow(NonFiniteMatrixError);
        }
        expect(memory().numTensors).toBe(before);
        g.dispose();
      }
    }
    expect(orthonormalityError(basisOf(gaussianMatrix(80, 34, 1), 'right', { rank: 3, host: true }))).toBeLessThan(
      1e-6,
    );
  });

  it('names the bad option', () => {
    const g = tensor2d([1, 2, 3, 4, 5, 6], [2, 3]);
    const start = tensor2d([1, 2], [2, 1]);
    for (const options of [
      { rank: -1 },
      { rank: 1.5 },
      { rank: 1, iterations: 0 },
      { rank: 1, oversampling: -2 },
      { rank: 1, start },
    ] as const) {
      expect(() => leadingSubspace(g, 'right', options)).toThrow(LinalgArgumentError);
    }
    expect(() => leadingSubspace(g, 'right', { rank: 1, start })).toThrow('start: found 2 rows; expected 3 rows');
    g.dispose();
    start.dispose();
  });
});
