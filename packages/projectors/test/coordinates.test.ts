import {
  type Basis,
  type Projector,
  randomKey,
  randomSubset,
  type Shape,
  type Site,
  soleSite,
  UnsupportedShapeError,
} from '@frugaljs/core';
import { columns, randK, rows } from '@frugaljs/projectors';
import { tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { disposeBasis, take } from './tensors.js';

/** Evenly over the interval: fast-check's doubles are mostly tiny. */
const share = fc.integer({ min: 0, max: 997 }).map(i => i / 997);

const FACTORIES = { rows, columns, randK };
type Kind = keyof typeof FACTORIES;
const KINDS = Object.keys(FACTORIES) as Kind[];

/** How many coordinates a kind chooses from. */
const COUNTS: Readonly<Record<Kind, (shape: readonly [number, number]) => number>> = {
  rows: ([m]) => m,
  columns: ([, n]) => n,
  randK: ([m, n]) => m * n,
};

function indicesOf(projector: Projector<'indices'>, site: Site, refreshIndex: number, occupied?: Int32Array): number[] {
  const basis: Basis<'indices'> = projector.fit(null, null, { site, refreshIndex, ...(occupied ? { occupied } : {}) });
  const indices = Array.from(basis.indices.dataSync());
  disposeBasis(basis);
  return indices;
}

describe.each(BACKENDS)('coordinate projectors on %s', backend => {
  useBackend(backend);

  it('select what their indices say', () => {
    const [g, shape]: [number[], Shape] = [Array.from({ length: 24 }, (_, i) => i + 1), [2, 3, 4]];
    const site = soleSite('w', shape);
    const x = tensor(g, [...shape]);
    const at = (i: number): number => g[i]!;
    const check = (
      projector: Projector<'indices'>,
      reduced: Shape,
      positions: (indices: number[]) => number[],
    ): void => {
      const basis = projector.fit(null, null, { site, refreshIndex: 0 });
      const expected = positions(Array.from(basis.indices.dataSync()));
      const down = projector.down(x, basis, site);
      expect(down.shape).toEqual(reduced);
      const up = projector.up(down, basis, site);
      expect(Array.from(take(down))).toEqual(expected.map(at));
      expect(Array.from(take(up))).toEqual(g.map((value, i) => (expected.includes(i) ? value : 0)));
      disposeBasis(basis);
    };
    // Rows of the matrix view: the first two axes together are 6 rows of 4.
    check(rows({ density: 0.5 }), [3, 4], indices => indices.flatMap(i => [0, 1, 2, 3].map(j => 4 * i + j)));
    check(columns({ density: 0.5 }), [2, 3, 2], indices =>
      Array.from({ length: 6 }, (_, i) => indices.map(j => 4 * i + j)).flat(),
    );
    check(randK({ density: 0.5 }), [12], indices => indices);
    x.dispose();
  });

  it('pass NaN and infinities on and keep zeros exact', () => {
    const site = soleSite('w', [4, 4]);
    const g = tensor([Number.NaN, ...Array(14).fill(1), Number.POSITIVE_INFINITY], [4, 4]);
    for (const kind of KINDS) {
      const projector = FACTORIES[kind]({ density: 0.5 });
      const basis = projector.fit(null, null, { site, refreshIndex: 0 });
      const down = projector.down(g, basis, site);
      const up = Array.from(take(projector.up(down, basis, site)));
      const values = Array.from(g.dataSync());
      expect(up.every((value, i) => Object.is(value, 0) || Object.is(value, values[i]))).toBe(true);
      expect(up.filter(value => value !== 0)).toHaveLength(8);
      down.dispose();
      disposeBasis(basis);
    }
    g.dispose();
  });

  it('count positions beyond the integers of float32', () => {
    // 2 × (2^23 + 3) entries: the last positions are odd numbers above 2^24.
    const [shape, last] = [[2, 2 ** 23 + 3] as const, 2 ** 23 + 2];
    const site = soleSite('w', shape);
    const values = new Float32Array(2 * shape[1]);
    values[shape[1] + last] = 5;
    values[shape[1] + last - 1] = 7;
    const g = tensor(values, [...shape]);
    const projector = columns({ density: 0.5 });
    const basis = { indices: tensor([1, last - 1, last], [3], 'int32') };
    const down = projector.down(g, basis, site);
    expect(Array.from(down.dataSync())).toEqual([0, 0, 0, 0, 7, 5]);
    const up = projector.up(down, basis, site);
    expect(Array.from(take(up).subarray(shape[1] + last - 2))).toEqual([0, 7, 5]);
    for (const x of [g, down, basis.indices]) x.dispose();
  });
});

describe('the choice of coordinates', () => {
  useBackend('cpu');

  it('truncates the number of coordinates', () => {
    const site = soleSite('w', [100, 100]);
    expect(rows({ density: 0.29 }).reducedShape(site, 0)).toEqual([28, 100]);
    expect(columns({ density: 0.29 }).reducedShape(site, 0)).toEqual([100, 28]);
    expect(randK({ density: 0.29 }).reducedShape(site, 0)).toEqual([2900]);
    expect(columns({ density: 0.25 }).reducedShape(soleSite('w', [3]), 0)).toEqual([0]);
    expect(randK({ density: 0.999 }).reducedShape(soleSite('w', []), 0)).toEqual([0]);
    expect(randK({ density: 1 }).reducedShape(soleSite('w', []), 0)).toEqual([1]);
  });

  it('never exceeds the density', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 400 }), fc.integer({ min: 1, max: 400 }), share, (m, n, density) => {
        for (const kind of KINDS) {
          const reduced = FACTORIES[kind]({ density }).reducedShape(soleSite('w', [m, n]), 0)!;
          expect(reduced.reduce((a, b) => a * b, 1)).toBeLessThanOrEqual(density * m * n);
        }
      }),
      { seed: 8, numRuns: 200 },
    );
  });

  it.each(KINDS)('%s: ascending, different, and another choice for another seed, name, place or refresh', kind => {
    const projector = FACTORIES[kind]({ density: 0.25 });
    const site = soleSite('w', [80, 80], 3);
    const base = indicesOf(projector, site, 2);
    expect(base).toEqual([...new Set(base)].sort((a, b) => a - b));
    expect(indicesOf(projector, site, 2)).toEqual(base);
    expect(indicesOf(projector, site, 3)).not.toEqual(base);
    expect(indicesOf(projector, { ...site, seed: 4 }, 2)).not.toEqual(base);
    expect(indicesOf(projector, { ...site, name: 'v' }, 2)).not.toEqual(base);
    expect(indicesOf(projector, { ...site, path: 'residual' }, 2)).not.toEqual(base);
  });

  it.each(KINDS)('%s: E[Π] = (K / count) I', kind => {
    const shape = [6, 5] as const;
    const [projector, site] = [FACTORIES[kind]({ density: 0.4 }), soleSite('w', shape)];
    const count = COUNTS[kind](shape);
    const kept = Math.trunc(0.4 * count);
    const refreshes = 3000;
    const hits = new Array<number>(count).fill(0);
    for (let refreshIndex = 0; refreshIndex < refreshes; refreshIndex++)
      for (const i of indicesOf(projector, site, refreshIndex)) hits[i]! += 1;
    const p = kept / count;
    for (const hit of hits)
      expect(Math.abs(hit / refreshes - p)).toBeLessThan(5 * Math.sqrt((p * (1 - p)) / refreshes));
  });

  it.each(KINDS)('%s: a nested split keeps clear of the coordinates that are taken', kind => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 12 }),
        fc.integer({ min: 1, max: 12 }),
        share,
        share,
        fc.nat({ max: 9 }),
        (m, n, first, second, refreshIndex) => {
          const site = soleSite('w', [m, n], 1);
          const outer = indicesOf(FACTORIES[kind]({ density: first }), site, refreshIndex);
          const nested = { ...site, path: 'residual' };
          const inner = indicesOf(FACTORIES[kind]({ density: second }), nested, refreshIndex, Int32Array.from(outer));
          const count = COUNTS[kind]([m, n]);
          expect(inner).toHaveLength(Math.trunc(second * count));
          expect(inner).toEqual([...new Set(inner)].sort((a, b) => a - b));
          const shared = inner.filter(i => outer.includes(i)).length;
          expect(shared).toBe(Math.max(0, outer.length + inner.length - count));
        },
      ),
      { seed: 9, numRuns: 60 },
    );
  });

  it('randK: the first revision still chooses the entries that it chose', () => {
    const site = { ...soleSite('w', [4, 9], 3), path: 'residual' };
    const at = (revision: number): number[] => {
      const { indices } = randK().fit(null, null, {
        site,
        refreshIndex: 2,
        occupied: Int32Array.of(5, 6, 7),
        revision,
      });
      const list = Array.from(indices.dataSync());
      indices.dispose();
      return list;
    };
    const key = randomKey(3, 'w', 'residual', 2, 'randK');
    expect(at(1)).toEqual(Array.from(randomSubset(key, 36, 9, Int32Array.of(5, 6, 7))));
    expect(at(2)).not.toEqual(at(1));
    // What version 0.1.0 of this package chose before there were revisions.
    expect(at(1).join(' ')).toMatchInlineSnapshot(`"4 12 13 15 19 25 28 30 31"`);
    expect(at(2).join(' ')).toMatchInlineSnapshot(`"1 2 16 17 19 20 26 29 30"`);
  });

  it('randK: more entries than int32 indices reach are refused before the first step', () => {
    expect(() => randK().check!(soleSite('w', [2 ** 16, 2 ** 15]))).not.toThrow();
    const tooLarge = (): void => randK().check!(soleSite('w', [2 ** 16, 2 ** 15 + 1]));
    expect(tooLarge).toThrow(UnsupportedShapeError);
    expect(tooLarge).toThrow('randK at "w": expected at most 2^31 entries');
  });
});
