import { expect, it } from 'vitest';
import { leadingSingularTriplets, leadingSubspace, type SubspaceOptions, symmetricEigen } from '../src/index.js';
import { describeOnBackends, expectTensors } from './support/backends.js';
import {
  fromTensor,
  gaussianMatrix,
  gaussians,
  type Matrix,
  orthonormalityError,
  product,
  toTensor,
  transposed,
} from './support/reference.js';

const LARGEST = 2 ** 128 - 2 ** 104;
const SMALLEST = 2 ** -149;
/** Of the largest entry: subnormal, normal, and close to the ends of float32. */
const SCALES = [SMALLEST, 1e-44, 1e-40, 1e-38, 1e-37, 1e-36, 1e-33, 1e-30, 1, 1e30, 1e36, LARGEST];

/** Matrices by name, the largest entry of which is about 1. */
const MATRICES: Readonly<Record<string, Matrix>> = {
  'rank 1, wide': product(gaussianMatrix(16, 1, 1), gaussianMatrix(1, 24, 2)),
  'rank 1, tall': product(gaussianMatrix(24, 1, 3), gaussianMatrix(1, 16, 4)),
  'rank 1, square': product(gaussianMatrix(64, 1, 5), gaussianMatrix(1, 64, 6)),
  'full rank': gaussianMatrix(24, 16, 7),
  'a single entry': gaussianMatrix(16, 24, 8).map((row, i) => row.map((_, j) => (i === 3 && j === 5 ? -1 : 0))),
  'rows of every magnitude': gaussianMatrix(24, 16, 9).map((row, i) => row.map(x => x * 10 ** (-1.5 * i))),
  'columns of every magnitude': gaussianMatrix(24, 16, 10).map(row => row.map((x, j) => x * 10 ** (-2.7 * j))),
  'entries of every magnitude': (next =>
    gaussianMatrix(20, 20, 11).map(row => row.map(x => x * 10 ** (8 * next() - 20))))(gaussians(12)),
};

const ON_HOST: Readonly<Record<string, Partial<SubspaceOptions>>> = {
  'exact host': { host: true, method: 'exact' },
  'randomized host': { host: true, method: 'randomized' },
  'randomized host, not aligned': { host: true, method: 'randomized', align: false },
};

function scaledTo(a: Matrix, largest: number): Matrix {
  const unit = Math.max(...a.flat().map(Math.abs));
  return a.map(row => row.map(x => Math.fround((x / unit) * largest)));
}

describeOnBackends('gradients of every float32 magnitude', () => {
  for (const [algorithm, selection] of Object.entries(ON_HOST)) {
    it.each(Object.keys(MATRICES))(`${algorithm}: a finite matrix gives an orthonormal basis, %s`, name => {
      for (const scale of SCALES) {
        const g = toTensor(scaledTo(MATRICES[name]!, scale));
        for (const side of ['left', 'right'] as const) {
          for (const rank of [1, 5, 14]) {
            const basis = expectTensors(1, () => leadingSubspace(g, side, { rank, ...selection }));
            expect(orthonormalityError(fromTensor(basis)), `${scale}, ${side}, rank ${rank}`).toBeLessThan(1e-5);
            basis.dispose();
          }
        }
        g.dispose();
      }
    });
  }

  it.each(['exact', 'randomized'] as const)('%s device: a finite matrix gives an orthonormal basis', method => {
    for (const a of [gaussianMatrix(8, 6, 15), product(gaussianMatrix(6, 1, 16), gaussianMatrix(1, 8, 17))]) {
      for (const scale of [SMALLEST, 1e-40, 1e-36, 1e36, LARGEST]) {
        const g = toTensor(scaledTo(a, scale));
        const basis = leadingSubspace(g, 'right', { rank: 3, method, host: false });
        expect(orthonormalityError(fromTensor(basis)), `${scale}`).toBeLessThan(1e-5);
        g.dispose();
        basis.dispose();
      }
    }
  });

  it.each([{ host: true }, { host: false }])('singular values are those of the matrix as it is, %o', options => {
    const a = gaussianMatrix(12, 8, 13);
    const of = (scale: number): { readonly values: number[]; readonly products: Matrix } => {
      const scaled = a.map(row => row.map(x => x * scale));
      const g = toTensor(scaled);
      const { left, right, values } = expectTensors(3, () => leadingSingularTriplets(g, { rank: 4, ...options }));
      const products = product(transposed(fromTensor(left)), product(scaled, fromTensor(right)));
      const found = { values: Array.from(values.dataSync()), products };
      for (const tensor of [g, left, right, values]) tensor.dispose();
      return found;
    };
    for (const scale of [1e-34, 1e-30, 1, 1e30, 1e37]) {
      const { values, products } = of(scale);
      values.forEach((value, i) => {
        expect(Math.abs(value / products[i]![i]! - 1)).toBeLessThan(1e-4);
      });
    }
  });
});

it('the eigenvectors of a symmetric matrix are orthonormal when parts of it are next to nothing', () => {
  for (const small of [1e-20, 1e-80, 1e-120, 1e-143, 1e-150, 1e-162, 1e-200, 5e-324]) {
    const x = gaussianMatrix(12, 12, 14);
    const a = x.map((row, i) => row.map((value, j) => (value + x[j]![i]!) * (i < 6 && j < 6 ? 1 : small)));
    const mirrored = [...a].reverse().map(row => [...row].reverse());
    for (const matrix of [a, mirrored]) {
      const { values, vectors } = symmetricEigen(matrix.flat(), 12);
      const rows = matrix.map((_, i) => Array.from(vectors.slice(12 * i, 12 * i + 12)));
      expect(orthonormalityError(transposed(rows)), `${small}`).toBeLessThan(1e-12);
      expect(values.every(Number.isFinite)).toBe(true);
    }
  }
});

it('the eigenvectors of a symmetric matrix are the same at every scale', () => {
  const x = gaussianMatrix(9, 9, 18);
  const a = x.flatMap((row, i) => row.map((value, j) => value + x[j]![i]!));
  const { values, vectors } = symmetricEigen(a, 9);
  for (const exponent of [-900, -201, 0, 201, 900]) {
    const scale = 2 ** exponent;
    const scaled = symmetricEigen(
      a.map(entry => entry * scale),
      9,
    );
    expect(scaled.vectors).toEqual(vectors);
    expect(scaled.values.map(value => value / scale)).toEqual(values);
  }
});
