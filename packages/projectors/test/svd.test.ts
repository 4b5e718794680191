import { NonFiniteGradientError, randomKey, randomPermutation, soleSite } from '@frugaljs/core';
import { leadingSingularTriplets } from '@frugaljs/linalg';
import { type Side, svd } from '@frugaljs/projectors';
import {
  add,
  dispose,
  matMul,
  mul,
  sub,
  sum,
  type Tensor,
  type Tensor2D,
  tensor,
  tensor1d,
  tensor2d,
  tidy,
  transpose,
} from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { basisNumbers, disposeBasis, distance, dot, normal } from './tensors.js';

const squaredNorm = (x: { dataSync(): ArrayLike<number> }): number => dot(x.dataSync(), x.dataSync());

/** A matrix with the given singular values and random singular vectors. */
function withSingularValues(m: number, n: number, values: readonly number[], seed: number): Tensor2D {
  return tidy(() => {
    const r = values.length;
    const factors = leadingSingularTriplets(normal([m, n], 'vectors', seed) as Tensor2D, { rank: r, method: 'exact' });
    return matMul(mul(factors.left, tensor1d([...values])) as Tensor2D, transpose(factors.right));
  });
}

/** Turns by an angle in the planes of two neighboring coordinates. */
function rotation(size: number, angle: number): Tensor2D {
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  const entry = (i: number, j: number): number => (i === j ? c : (i ^ 1) === j ? (i < j ? -s : s) : 0);
  return tensor2d(Array.from({ length: size }, (_, i) => Array.from({ length: size }, (_, j) => entry(i, j))));
}

describe.each(BACKENDS)('svd on %s', backend => {
  useBackend(backend);

  it.each(['std', 'left', 'right', 'full'] as const)('%s: ‖G - ΠG‖² = Σ_{i>r} σ_i² (Eckart–Young)', side => {
    fc.assert(
      fc.property(fc.integer({ min: 2, max: 14 }), fc.integer({ min: 2, max: 14 }), fc.nat(), (m, n, seed) => {
        const a = Math.min(m, n);
        const values = Array.from({ length: a }, (_, i) => 2 ** (-i / 2));
        for (const rank of new Set([1, Math.ceil(a / 2), a - 1])) {
          if (rank === 0) continue;
          const site = soleSite('w', [m, n]);
          const projector = svd({ rank, side, method: 'exact' });
          tidy(() => {
            const g = withSingularValues(m, n, values, seed);
            const basis = projector.fit(g, null, { site, refreshIndex: 0 });
            const missed = sub(g, projector.up(projector.down(g, basis, site), basis, site));
            const tail = values.slice(rank).reduce((sum, value) => sum + value ** 2, 0);
            expect(Math.abs(squaredNorm(missed) - tail)).toBeLessThan(2e-6 * squaredNorm(g));
          });
        }
      }),
      { seed: 2, numRuns: 8 },
    );
  });

  it.each(['exact', 'randomized'] as const)('%s: a vector has the sign of the one before it, in place', method => {
    for (const side of ['left', 'right', 'full'] as const) {
      for (const warmStart of [true, false]) {
        const [m, n, rank] = [14, 12, 4];
        const site = soleSite('w', [m, n]);
        const projector = svd({ rank, side, method, warmStart });
        const still = withSingularValues(m, n, [8, 5, 3, 2, 1], 31);
        let flips = 0;
        let basis: Record<string, Tensor> = {};
        // Once around: wherever a decomposition looks for a sign, it turns on the way.
        for (let refreshIndex = 0; refreshIndex < 32; refreshIndex++) {
          const angle = (2 * Math.PI * refreshIndex) / 32;
          const g = tidy(() => matMul(matMul(rotation(m, angle), still), rotation(n, angle)));
          const next = projector.fit(g, refreshIndex === 0 ? null : (basis as never), { site, refreshIndex });
          const raw = projector.fit(g, null, { site, refreshIndex });
          for (const [name, factor] of Object.entries(refreshIndex === 0 ? {} : next)) {
            const inner = tidy(() => sum(mul(factor, basis[name]!), 0).dataSync());
            for (const cosine of inner) expect(cosine).toBeGreaterThan(0.9);
            flips += tidy(() => sum(mul(factor, raw[name as never] as Tensor), 0).dataSync()).filter(x => x < 0).length;
          }
          dispose([basis, raw, g]);
          basis = next;
        }
        // Without that some would have turned.
        expect(flips).toBeGreaterThan(0);
        dispose([basis, still]);
      }
    }
  });

  it('keeps nearly as much with the randomized method, and more after a warm start', () => {
    tidy(() => {
      const [m, n, rank] = [160, 144, 36];
      const site = soleSite('w', [m, n]);
      const values = Array.from({ length: n }, (_, i) => 1 / (1 + i / 8));
      const g = withSingularValues(m, n, values, 5);
      const tail = Math.sqrt(values.slice(rank).reduce((sum, value) => sum + value ** 2, 0));
      const missed = (options: object, rounds: number): number => {
        const projector = svd({ rank, method: 'randomized', ...options });
        let basis = projector.fit(g, null, { site, refreshIndex: 0 });
        for (let refreshIndex = 1; refreshIndex < rounds; refreshIndex++)
          basis = projector.fit(g, basis, { site, refreshIndex });
        return Math.sqrt(squaredNorm(sub(g, projector.up(projector.down(g, basis, site), basis, site))));
      };
      const cold = { iterations: 1, oversampling: 0, align: false };
      expect(missed({}, 1)).toBeLessThan(1.03 * tail);
      expect(missed(cold, 8)).toBeLessThan(missed(cold, 1));
      expect(missed(cold, 8)).toBeLessThan(1.01 * tail);
      expect(missed({ ...cold, warmStart: false }, 3)).toBe(missed(cold, 1));
    });
  });

  it('agrees on the subspace whatever the order of rows and columns', () => {
    tidy(() => {
      const g = withSingularValues(9, 6, [4, 3, 2, 0.5, 0.2, 0.1], 3);
      const rows = randomPermutation(randomKey(1, 'rows'), 9);
      const shuffled = tensor(
        Array.from(rows).flatMap(i => Array.from(g.dataSync().subarray(6 * i, 6 * i + 6))),
        [9, 6],
      );
      const site = soleSite('w', [9, 6]);
      const projector = svd({ rank: 3 });
      const [one, two] = [g, shuffled].map(x => {
        const { right } = projector.fit(x, null, { site, refreshIndex: 0 });
        return matMul(right as Tensor2D, transpose(right) as Tensor2D);
      });
      expect(distance(one!.dataSync(), two!.dataSync())).toBeLessThan(1e-5);
    });
  });

  it('full: the gradient of the refresh is diagonal inside', () => {
    tidy(() => {
      const g = withSingularValues(8, 6, [4, 3, 2, 1, 0.5, 0.1], 11);
      const site = soleSite('w', [8, 6]);
      const projector = svd({ rank: 3, side: 'full' });
      const basis = projector.fit(g, null, { site, refreshIndex: 0 });
      const diagonal = [4, 0, 0, 0, 3, 0, 0, 0, 2];
      expect(distance(projector.down(g, basis, site).dataSync(), diagonal)).toBeLessThan(1e-5);
    });
  });

  it('refuses a gradient with NaN and names the parameter', () => {
    const g = tensor([1, Number.NaN, 2, 3, 4, 5], [3, 2]);
    const fitting = (): unknown => svd({ rank: 1 }).fit(g, null, { site: soleSite('w', [3, 2]), refreshIndex: 0 });
    expect(fitting).toThrow(NonFiniteGradientError);
    expect(fitting).toThrow('gradient of "w"');
    g.dispose();
  });

  it('finds an orthonormal basis for gradients of low rank, and for zero', () => {
    tidy(() => {
      const site = soleSite('w', [7, 5]);
      for (const g of [mul(normal([7, 5], 'z'), 0), withSingularValues(7, 5, [2], 1)]) {
        const { right } = svd({ rank: 3 }).fit(g, null, { site, refreshIndex: 0 });
        const gram = matMul(transpose(right) as Tensor2D, right as Tensor2D);
        expect(distance(gram.dataSync(), [1, 0, 0, 0, 1, 0, 0, 0, 1])).toBeLessThan(1e-5);
      }
    });
  });
});

describe('sides and ranks of svd', () => {
  useBackend('cpu');
  const reduced = (options: { density?: number; rank?: number; side?: Side }, shape: [number, number]): unknown =>
    svd(options).reducedShape(soleSite('w', shape), 0);

  it('projects the smaller dimension with std and the larger with reverse_std', () => {
    expect(reduced({ density: 0.5 }, [8, 6])).toEqual([8, 3]);
    expect(reduced({ density: 0.5 }, [4, 8])).toEqual([2, 8]);
    expect(reduced({ density: 0.5 }, [6, 6])).toEqual([6, 3]);
    expect(reduced({ density: 0.5, side: 'reverse_std' }, [8, 6])).toEqual([4, 6]);
    expect(reduced({ density: 0.5, side: 'reverse_std' }, [4, 8])).toEqual([4, 4]);
    expect(reduced({ density: 0.5, side: 'reverse_std' }, [6, 6])).toEqual([3, 6]);
    expect(reduced({ density: 0.5, side: 'full' }, [8, 6])).toEqual([3, 3]);
  });

  it('rounds ranks half to even and clips them to the smaller dimension', () => {
    expect(reduced({ density: 0.25 }, [8, 6])).toEqual([8, 2]);
    expect(reduced({ density: 0.25 }, [20, 10])).toEqual([20, 2]);
    expect(reduced({ density: 0.25 }, [20, 14])).toEqual([20, 4]);
    expect(reduced({ density: 1, side: 'right' }, [4, 9])).toEqual([4, 4]);
    expect(reduced({ density: 0, side: 'left' }, [4, 9])).toEqual([0, 9]);
  });

  it('has no factor where everything is kept, so that Adam inside is Adam', () => {
    const basisOf = (options: object, shape: [number, number]): string[] => {
      const g = normal(shape, 'g');
      const projector = svd(options);
      const site = soleSite('w', shape);
      const basis = projector.fit(g, null, { site, refreshIndex: 0 });
      const names = Object.keys(basis);
      expect(Object.keys(projector.basis(site))).toEqual(names);
      disposeBasis(basis);
      g.dispose();
      return names;
    };
    expect(basisOf({ density: 1 }, [5, 3])).toEqual([]);
    expect(basisOf({ density: 1, side: 'full' }, [3, 3])).toEqual([]);
    expect(basisOf({ density: 1, side: 'full' }, [3, 5])).toEqual(['right']);
    expect(basisOf({ density: 0.5, side: 'full' }, [4, 4])).toEqual(['left', 'right']);
    // The larger dimension is never covered by the few singular vectors that there are.
    expect(basisOf({ density: 1, side: 'reverse_std' }, [3, 5])).toEqual(['right']);
  });

  it('does not confuse the side when the reduced gradient is square', () => {
    tidy(() => {
      const site = soleSite('w', [3, 7]);
      const projector = svd({ rank: 3, side: 'reverse_std' });
      const g = normal([3, 7], 'g');
      const basis = projector.fit(g, null, { site, refreshIndex: 0 });
      const low = projector.down(g, basis, site);
      expect(low.shape).toEqual([3, 3]);
      // All of this gradient lies in the row space that was fitted to it.
      expect(distance(projector.up(low, basis, site).dataSync(), g.dataSync())).toBeLessThan(1e-5);
    });
  });
});

describe('transport between dense subspaces', () => {
  useBackend('cpu');

  it.each(['left', 'right', 'full'] as const)(
    '%s: degree 1 is down ∘ up, degree 2 squares the change of basis',
    side => {
      tidy(() => {
        const site = soleSite('w', [6, 5]);
        const projector = svd({ rank: 2, side });
        const [g1, g2] = [normal([6, 5], 'one'), normal([6, 5], 'two')];
        const from = projector.fit(g1, null, { site, refreshIndex: 0 });
        const to = projector.fit(add(g1, mul(g2, 0.5)), from, { site, refreshIndex: 1 });
        const shape = [...projector.reducedShape(site, 0)!];
        const x = normal(shape, 'x');
        const carry = (y: typeof x, degree: 1 | 2): Float32Array =>
          projector.transport!(y, from, to, site, degree).dataSync() as Float32Array;
        const default1 = projector.down(projector.up(x, from, site), to, site);
        expect(distance(carry(x, 1), default1.dataSync())).toBeLessThan(1e-5);

        // Entry by entry: what one coordinate of the old subspace becomes, squared.
        const size = shape[0]! * shape[1]!;
        const expected = new Float64Array(size);
        for (let k = 0; k < size; k++) {
          const unit = tensor(
            Array.from({ length: size }, (_, i) => (i === k ? 1 : 0)),
            shape,
          );
          const moved = carry(unit, 1);
          for (let i = 0; i < size; i++) expected[i]! += moved[i]! ** 2 * x.dataSync()[k]!;
        }
        expect(distance(carry(x, 2), expected)).toBeLessThan(1e-5);
        expect(carry(mul(x, x), 2).every(value => value >= 0)).toBe(true);
        expect(basisNumbers(from)).not.toEqual(basisNumbers(to));
      });
    },
  );
});

describe('a rank by energy', () => {
  useBackend('cpu');

  const site = soleSite('w', [9, 7]);
  const values = [8, 4, 2, 1, 0.5, 0.25, 0.125];
  const total = values.reduce((sum, value) => sum + value ** 2, 0);

  it.each(['std', 'left', 'right', 'full'] as const)('%s: the smallest that keeps it, within the bounds', side => {
    const g = withSingularValues(9, 7, values, 3);
    const rankOf = (energy: number, more: object = { density: 1 }): number => {
      const projector = svd({ side, energy, ...more });
      const basis = projector.fit(g, null, { site, refreshIndex: 0 });
      const reduced = projector.shapeWith!(basis, site);
      const low = projector.down(g, basis, site);
      expect(low.shape).toEqual(reduced);
      dispose([low]);
      const [factor] = Object.values(basis);
      disposeBasis(basis);
      return factor!.shape[1]!;
    };
    for (const [r, value] of values.entries()) {
      const kept = values.slice(0, r + 1).reduce((sum, each) => sum + each ** 2, 0) / total;
      expect(rankOf(kept - (0.5 * value ** 2) / total)).toBe(r + 1);
    }
    expect(rankOf(1)).toBe(7);
    expect(rankOf(0)).toBe(1);
    expect(rankOf(0, { density: 1, minRank: 3 })).toBe(3);
    expect(rankOf(1, { rank: 2 })).toBe(2);
    // Of 9 × 7 a density of 0.25 is rank 2, which no smallest rank exceeds.
    expect(rankOf(0, { density: 0.25, minRank: 5 })).toBe(2);
    g.dispose();
  });

  it('of zeros is the smallest, and of huge or tiny gradients that of others', () => {
    const projector = svd({ density: 1, energy: 0.9, minRank: 2 });
    const g = withSingularValues(9, 7, values, 3);
    for (const [factor, expected] of [
      [0, 2],
      [1, 2],
      [1e37, 2],
      [1e-37, 2],
    ] as const) {
      const basis = projector.fit(mul(g, factor), null, { site, refreshIndex: 0 });
      expect(basis.right.shape).toEqual([7, expected]);
    }
  });

  it.each([
    [{ energy: 2 }, /svd\.energy: expected a number in \[0, 1\], found 2/],
    [{ energy: 0.5, minRank: 0 }, /svd\.minRank: expected an integer of at least 1, found 0/],
    [{ minRank: 2 }, /svd\.minRank: expected no smallest rank without `energy`, as the rank is then fixed, found 2/],
    [{ energy: 0.5, rank: 2, minRank: 5 }, /svd\.minRank: expected at most `rank`, which is 2, found 5/],
    [{ energy: 0.5, align: false }, /svd\.align: expected true with `energy`/],
  ])('%j is refused', (options, message) => {
    expect(() => svd(options)).toThrow(message);
  });
});
