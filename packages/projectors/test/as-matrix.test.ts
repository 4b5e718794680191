import {
  InvalidOptionError,
  type Projector,
  sizeOf,
  soleSite,
  UnknownNameError,
  UnsupportedShapeError,
} from '@frugaljs/core';
import { asMatrix, blockwise, columns, dct, PROJECTORS, randK, random, rows, svd } from '@frugaljs/projectors';
import { reshape } from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { normal } from './tensors.js';

const KERNELS = [
  [3, 3, 8, 4],
  [5, 2, 6],
  [3, 3, 8, 1],
  [2, 3, 1, 7],
] as const;

describe.each(BACKENDS)('on %s', backend => {
  useBackend(backend);

  it.each<Projector>([svd({ rank: 1 }), random({ density: 0.5 }), dct({ density: 0.5 })])(
    '$kind: what it makes of a kernel is what it makes of the matrix, to the last bit',
    inner => {
      for (const shape of KERNELS) {
        const matrix = [sizeOf(shape) / shape.at(-1)!, shape.at(-1)!];
        const [site, flatSite] = [soleSite('w', [...shape], 5), soleSite('w', matrix, 5)];
        const outer = asMatrix(inner);
        outer.check!(site);
        const reduced = outer.reducedShape(site, 2)!;
        expect(reduced).toEqual(inner.reducedShape(flatSite, 2));
        expect(outer.basis(site)).toEqual(inner.basis(flatSite));
        if (sizeOf(reduced) === 0) continue;
        const numbersOf = (tensor: { dataSync(): ArrayLike<number> }): number[] => Array.from(tensor.dataSync());
        const g = normal([...shape], 'g');
        const flat = reshape(g, matrix);
        const basis = outer.fit(g, null, { site, refreshIndex: 2 });
        const flatBasis = inner.fit(flat, null, { site: flatSite, refreshIndex: 2 });
        for (const name of Object.keys(basis)) expect(numbersOf(basis[name]!)).toEqual(numbersOf(flatBasis[name]!));
        const [low, flatLow] = [outer.down(g, basis, site), inner.down(flat, flatBasis, flatSite)];
        expect(numbersOf(low)).toEqual(numbersOf(flatLow));
        const [up, flatUp] = [outer.up(low, basis, site), inner.up(flatLow, flatBasis, flatSite)];
        expect(up.shape).toEqual([...shape]);
        expect(numbersOf(up)).toEqual(numbersOf(flatUp));
        const row = outer.upRows?.(basis, site)(low, 1, 1);
        if (row !== undefined) expect(row.shape).toEqual([1, shape.at(-1)]);
      }
    },
  );
});

it('returns projectors onto coordinates as they are', () => {
  for (const projector of [rows(), columns(), randK(), blockwise()]) expect(asMatrix(projector)).toBe(projector);
});

it('refuses vectors, what the inner projector refuses, and what is no projector', () => {
  const at = (shape: number[]) => () => asMatrix(svd({ rank: 2 })).check!(soleSite('w', shape));
  expect(at([4])).toThrow(UnsupportedShapeError);
  expect(at([4])).toThrow('asMatrix at "w"');
  expect(at([3, 3, 8, 1])).toThrow('svd.rank at "w": expected at most 1, the smaller dimension of 72 × 1');
  expect(at([3, 3, 8, 2])).not.toThrow();
  expect(() => asMatrix(svd as never)).toThrow(InvalidOptionError);
  const { create } = PROJECTORS['asMatrix']!;
  expect(() => create({ projector: { kind: 'svdd', options: {} } })).toThrow(UnknownNameError);
  expect(() => create({})).toThrow(InvalidOptionError);
});
