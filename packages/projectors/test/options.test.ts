import { FrugalError, InvalidOptionError, type Shape, soleSite, UnsupportedShapeError } from '@frugaljs/core';
import { blockwise, columns, dct, identity, PROJECTORS, randK, random, rows, sketch, svd } from '@frugaljs/projectors';
import { describe, expect, it } from 'vitest';
import { useBackend } from '../../../tools/test-support/backends.js';
import { memoryOf } from './memory-of.js';
import { normal } from './tensors.js';

const WITH_DENSITY = { svd, random, sketch, dct, rows, columns, randK, blockwise };
const WITH_RANK = { svd, random, sketch, dct };

describe('options', () => {
  it.each(Object.entries(WITH_DENSITY))('%s: density lies in [0, 1] and is 0.25 by default', (kind, factory) => {
    expect(factory().options['density']).toBe(0.25);
    for (const density of [-0.01, 1.01, Number.NaN, Number.POSITIVE_INFINITY, '0.5' as never, null as never]) {
      expect(() => factory({ density })).toThrow(InvalidOptionError);
      expect(() => factory({ density })).toThrow(`${kind}.density: expected a number in [0, 1]`);
    }
    for (const density of [0, 1, 8 / 768]) expect(factory({ density }).options['density']).toBe(density);
  });

  it.each(Object.entries(WITH_RANK))('%s: rank is a whole number, instead of a density', (kind, factory) => {
    expect(factory({ rank: 3 }).options).not.toHaveProperty('density');
    expect(factory({ rank: 3 }).options['rank']).toBe(3);
    for (const rank of [-1, 1.5, Number.NaN, '3' as never]) {
      expect(() => factory({ rank })).toThrow(InvalidOptionError);
      expect(() => factory({ rank })).toThrow(`${kind}.rank`);
    }
    expect(() => factory({ rank: 3, density: 0.5 })).toThrow('a rank or a density, not both');
  });

  it.each(Object.entries(WITH_RANK))('%s: a fixed rank must fit the parameter', (kind, factory) => {
    const at = (rank: number) => () => factory({ rank }).check!(soleSite('w', [4, 9]));
    expect(at(4)).not.toThrow();
    expect(at(5)).toThrow(InvalidOptionError);
    expect(at(5)).toThrow(`${kind}.rank at "w": expected at most 4`);
  });

  it.each(Object.keys(PROJECTORS))('%s: refuses options it does not know', kind => {
    const { create, example } = PROJECTORS[kind]!;
    expect(() => create({ ...example, densty: 0.5 })).toThrow(InvalidOptionError);
    expect(() => create({ ...example, densty: 0.5 })).toThrow(`${kind}.densty`);
  });

  it('fills in the defaults', () => {
    expect(svd().options).toEqual({ density: 0.25, side: 'std', method: 'auto', warmStart: true });
    expect(random().options).toEqual({ density: 0.25, side: 'std' });
    expect(sketch().options).toEqual({ density: 0.25, side: 'std' });
    expect(dct().options).toEqual({ density: 0.25, norm: 'l1' });
    expect(blockwise().options).toEqual({ density: 0.25, order: 'random', unit: 'matrix', skip: 0 });
    expect(identity().options).toEqual({});
  });

  it('checks the other options', () => {
    expect(() => svd({ side: 'both' as never })).toThrow(
      'svd.side: expected one of std, reverse_std, left, right, full',
    );
    expect(() => svd({ method: 'fast' as never })).toThrow('svd.method');
    expect(() => svd({ iterations: 0 })).toThrow('svd.iterations');
    expect(() => svd({ oversampling: 1.5 })).toThrow('svd.oversampling');
    expect(() => svd({ align: 1 as never })).toThrow('svd.align');
    expect(() => svd({ warmStart: 'yes' as never })).toThrow('svd.warmStart');
    expect(() => random({ side: 'top' as never })).toThrow('random.side');
    expect(() => sketch({ side: 'full' as never })).toThrow(
      'sketch.side: expected one of std, reverse_std, left, right',
    );
    expect(() => dct({ norm: 'l3' as never })).toThrow('dct.norm');
    expect(() => blockwise({ order: 'sideways' as never })).toThrow('blockwise.order');
    expect(() => blockwise({ unit: 'head' as never })).toThrow('blockwise.unit');
    expect(() => blockwise({ skip: -1 })).toThrow('blockwise.skip');
  });
});

describe('the table of projectors', () => {
  it.each([
    ['blockwise', 'blockwise'],
    ['columns', 'columns'],
    ['dct', 'dct'],
    ['given', 'given'],
    ['identity', 'identity'],
    ['rand-k', 'randK'],
    ['random', 'random'],
    ['rows', 'rows'],
    ['sketch', 'sketch'],
    ['svd', 'svd'],
  ])('%s can be imported alone', async (file, kind) => {
    const module: Record<string, unknown> = await import(`@frugaljs/projectors/${file}`);
    const factory = module[kind] as (options: object) => { kind: string };
    expect(factory(PROJECTORS[kind]!.example).kind).toBe(kind);
  });
});

describe('shapes that a projector cannot work on', () => {
  const SHAPES: readonly Shape[] = [[], [7], [3, 4], [2, 3, 4], [2, 2, 3, 3]];
  const AXES = { any: [0, 9], 'at least 1 axis': [1, 9], 'at least 2 axes': [2, 9], matrix: [2, 2] } as const;

  it.each(Object.keys(PROJECTORS).filter(kind => kind !== 'given'))('%s: are refused, with advice', kind => {
    const { create, example, parameters } = PROJECTORS[kind]!;
    const [least, most] = AXES[parameters];
    for (const shape of SHAPES) {
      const check = (): void => create(example).check?.(soleSite('w', shape));
      if (shape.length >= least && shape.length <= most) {
        expect(check).not.toThrow();
        continue;
      }
      expect(check).toThrow(UnsupportedShapeError);
      expect(check).toThrow(FrugalError);
      expect(check).toThrow(`${kind} at "w"`);
      expect(check).toThrow('a group of their own');
    }
  });
});

describe('memory of a basis', () => {
  useBackend('cpu');

  // Bytes by the formulas of the table, for a 24 × 16 parameter with density 1/4.
  it.each([
    ['svd', 4 * 16 * 4],
    ['random', 4 * 16 * 4],
    ['sketch', 4 * 16 * 4],
    ['dct', 4 * 4],
    ['rows', 4 * 6],
    ['columns', 4 * 4],
    ['randK', 4 * 96],
    ['identity', 0],
  ])('%s takes %i bytes, as declared and as measured', (kind, bytes) => {
    const { create, example } = PROJECTORS[kind]!;
    const site = soleSite('w', [24, 16]);
    const projector = create(example);
    const declared = Object.values(projector.basis(site)).reduce((sum, { shape }) => {
      return sum + 4 * shape.reduce((a, b) => a * b, 1);
    }, 0);
    const g = normal([24, 16], 'g');
    expect(declared).toBe(bytes);
    expect(memoryOf(() => projector.fit(g, null, { site, refreshIndex: 0 })).bytes).toBe(bytes);
    g.dispose();
  });
});
