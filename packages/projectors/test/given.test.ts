import {
  InvalidOptionError,
  NotSerializableError,
  ShapeMismatchError,
  type Site,
  soleSite,
  UnknownNameError,
  UnsupportedShapeError,
} from '@frugaljs/core';
import { columns, type GivenMatrix, type GivenOptions, given, randK, random, rows } from '@frugaljs/projectors';
import { type Tensor, tensor, tidy } from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { basisNumbers, distance, normal } from './tensors.js';

const SITE: Site = soleSite('w', [6, 5], 2);

function rowsOf(x: Tensor): GivenMatrix {
  const [m, n] = x.shape as [number, number];
  const values = Array.from(x.dataSync());
  return Array.from({ length: m }, (_, i) => values.slice(i * n, i * n + n));
}

describe.each(BACKENDS)('given on %s', backend => {
  useBackend(backend);

  it.each([
    ['rows', rows({ density: 0.5 })],
    ['columns', columns({ density: 0.5 })],
    ['randK', randK({ density: 0.5 })],
  ] as const)('%s: repeats a run of the projector that drew the indices', (kind, projector) => {
    tidy(() => {
      const drawn = [0, 1, 2].map(refreshIndex => projector.fit(null, null, { site: SITE, refreshIndex }));
      // A recording need not be sorted.
      const indices = { w: drawn.map(({ indices }) => Array.from(indices.dataSync()).reverse()) };
      const g = normal(SITE.shape, 'g');
      for (const replay of [
        given({ kind, indices }),
        given({ kind, indices: (name, e) => indices.w[name === 'w' ? e : 9]! }),
      ]) {
        replay.check!(SITE);
        expect(replay.basis(SITE)).toEqual(projector.basis(SITE));
        for (const [refreshIndex, basis] of drawn.entries()) {
          const again = replay.fit(null, null, { site: SITE, refreshIndex });
          expect(basisNumbers(again)).toEqual(basisNumbers(basis));
          expect(replay.reducedShape(SITE, refreshIndex)).toEqual(projector.reducedShape(SITE, refreshIndex));
          const low = projector.down(g, basis, SITE);
          expect(replay.down(g, again, SITE).dataSync()).toEqual(low.dataSync());
          expect(replay.up(low, again, SITE).dataSync()).toEqual(projector.up(low, basis, SITE).dataSync());
        }
      }
    });
  });

  it.each(['left', 'right', 'full'] as const)('%s: repeats a run of the projector that drew the basis', kind => {
    tidy(() => {
      const projector = random({ rank: 2, side: kind });
      const drawn = [0, 1].map(refreshIndex => projector.fit(null, null, { site: SITE, refreshIndex }));
      const recorded = drawn.map(basis => {
        if (kind === 'full') return { left: rowsOf(basis.left), right: rowsOf(basis.right) };
        return rowsOf(basis[kind]);
      });
      const replay = given(JSON.parse(JSON.stringify({ kind, basis: { w: recorded } })) as GivenOptions);
      replay.check!(SITE);
      const g = normal(SITE.shape, 'g');
      const bases = drawn.map((basis, refreshIndex) => {
        const again = replay.fit(null, null, { site: SITE, refreshIndex });
        expect(
          distance(
            basisNumbers(again)[kind === 'full' ? 'left' : kind]!,
            basisNumbers(basis)[kind === 'full' ? 'left' : kind]!,
          ),
        ).toBe(0);
        expect(replay.reducedShape(SITE, refreshIndex)).toEqual(projector.reducedShape(SITE, refreshIndex));
        const low = projector.down(g, basis, SITE);
        expect(distance(replay.down(g, again, SITE).dataSync(), low.dataSync())).toBe(0);
        expect(distance(replay.up(low, again, SITE).dataSync(), projector.up(low, basis, SITE).dataSync())).toBe(0);
        return again;
      });
      const x = normal(replay.reducedShape(SITE, 0)!, 'x');
      const carried = replay.transport!(x, bases[0]!, bases[1]!, SITE, 1);
      const expected = replay.down(replay.up(x, bases[0]!, SITE), bases[1]!, SITE);
      expect(distance(carried.dataSync(), expected.dataSync())).toBeLessThan(1e-5);
    });
  });

  it('rotates the coordinates with a complete basis', () => {
    tidy(() => {
      const [c, s] = [Math.cos(0.3), Math.sin(0.3)];
      const site = soleSite('w', [3, 2]);
      const rotation = given({
        kind: 'right',
        basis: {
          w: [
            [
              [c, -s],
              [s, c],
            ],
          ],
        },
      });
      const g = tensor([1, 0, 0, 1, 2, 2], [3, 2]);
      const basis = rotation.fit(null, null, { site, refreshIndex: 0 });
      const low = rotation.down(g, basis, site);
      expect(distance(low.dataSync(), [c, -s, s, c, 2 * (c + s), 2 * (c - s)])).toBeLessThan(1e-6);
      expect(distance(rotation.up(low, basis, site).dataSync(), g.dataSync())).toBeLessThan(1e-6);
    });
  });
});

describe('what given accepts', () => {
  useBackend('cpu');

  it('lets the last entry of a table serve all later refreshes', () => {
    tidy(() => {
      const projector = given({ kind: 'columns', indices: { w: [[0], [3]] } });
      const at = (refreshIndex: number): unknown =>
        basisNumbers(projector.fit(null, null, { site: SITE, refreshIndex }))['indices'];
      expect([0, 1, 2, 50].map(at)).toEqual([[0], [3], [3], [3]]);
    });
  });

  it('accepts no indices at all', () => {
    expect(given({ kind: 'columns', indices: { w: [[]] } }).reducedShape(SITE, 0)).toEqual([6, 0]);
  });

  it('marks a function in its options, and refuses to load the mark', () => {
    const { options } = given({ kind: 'rows', indices: () => [0] });
    expect(options).toEqual({ kind: 'rows', indices: 'function' });
    expect(() => given(options as never)).toThrow(NotSerializableError);
    expect(() => given(options as never)).toThrow('given.indices');
  });

  it('names what is wrong with indices', () => {
    const check = (indices: readonly (readonly number[])[]) => () =>
      given({ kind: 'rows', indices: { w: indices } }).check!(SITE);
    for (const bad of [[[6]], [[-1]], [[0.5]], [[1, 1]], [[0], [7]]]) {
      expect(check(bad)).toThrow(InvalidOptionError);
      expect(check(bad)).toThrow('different integers from 0 to 5');
    }
    expect(check([[0], [7]])).toThrow('given.indices["w"][1]');
    expect(check([[0, 1], [2]])).toThrow('2 indices as in refresh 0');
  });

  it('names what is wrong with a basis', () => {
    const check =
      (basis: readonly GivenMatrix[], kind: 'left' | 'right' = 'right') =>
      () =>
        given({ kind, basis: { w: basis } }).check!(SITE);
    const e = (i: number, n: number): number[][] => Array.from({ length: n }, (_, j) => [i === j ? 1 : 0]);
    expect(check([e(0, 5)])).not.toThrow();
    expect(check([e(0, 6)], 'left')).not.toThrow();
    expect(check([e(0, 6)])).toThrow(ShapeMismatchError);
    expect(check([[[1], [0], [0], [0], [0, 1]]])).toThrow(ShapeMismatchError);
    expect(check([[[1], [1], [0], [0], [0]]])).toThrow('orthonormal columns');
    expect(check([e(0, 5), e(0, 5).map(row => [...row, 0])])).toThrow('rank 1 as in refresh 0');
    const full = given({
      kind: 'full',
      basis: { w: [{ left: e(0, 6), right: e(0, 5).map((row, i) => [...row, i === 1 ? 1 : 0]) }] },
    });
    expect(() => full.check!(SITE)).toThrow(ShapeMismatchError);
  });

  it('names parameters, shapes and options that do not fit', () => {
    const projector = given({ kind: 'rows', indices: { v: [[0]] } });
    expect(() => projector.reducedShape(SITE, 0)).toThrow(UnknownNameError);
    expect(() => given({ kind: 'rows', indices: { w: [[0]] } }).check!(soleSite('w', [4]))).toThrow(
      UnsupportedShapeError,
    );
    expect(() => given({ kind: 'left', basis: { w: [[[1]]] } }).check!(soleSite('w', [1]))).toThrow(
      UnsupportedShapeError,
    );
    expect(() => given({ kind: 'rows', basis: { w: [[[1]]] } } as never)).toThrow('given.basis');
    expect(() => given({ kind: 'diagonal', indices: { w: [[1]] } } as never)).toThrow('given.kind');
    expect(() => given({ kind: 'rows', indices: { w: [] } })).toThrow('given.indices');
    expect(() => given({ kind: 'rows' } as never)).toThrow('given.indices');
  });
});
