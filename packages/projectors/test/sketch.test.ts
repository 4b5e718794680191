import { type Projector, type Shape, soleSite } from '@frugaljs/core';
import { asMatrix, dct, given, random, sketch, svd } from '@frugaljs/projectors';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { basisNumbers, normal } from './tensors.js';

const WIDE: Shape = [4, 7];
const TALL: Shape = [7, 4];
const SQUARE: Shape = [5, 5];

describe('the axis that a dense projector keeps', () => {
  const kept = (projector: Projector, shape: Shape): string | null | undefined =>
    projector.keeps!(soleSite('parameter', shape));

  it.each([svd, random, sketch])('follows from the side, at every density: %o', factory => {
    for (const density of [0.25, 1]) {
      for (const shape of [WIDE, TALL, SQUARE]) {
        expect(kept(factory({ density, side: 'right' }), shape)).toBe('row');
        expect(kept(factory({ density, side: 'left' }), shape)).toBe('column');
      }
      expect([WIDE, TALL, SQUARE].map(shape => kept(factory({ density }), shape))).toEqual(['column', 'row', 'row']);
      expect(kept(factory({ density, side: 'reverse_std' }), WIDE)).toBe('row');
    }
  });

  it('is none where both are projected', () => {
    for (const factory of [svd, random]) expect(kept(factory({ rank: 2, side: 'full' }), SQUARE)).toBe(null);
  });

  it('is that of the matrix that a kernel is seen as, and of a given basis', () => {
    expect(kept(dct({ density: 0.5 }), SQUARE)).toBe('row');
    expect(kept(asMatrix(svd({ rank: 1, side: 'left' })), [2, 2, 3, 4])).toBe('column');
    expect(kept(given({ kind: 'left', basis: () => [[1], [0], [0], [0], [0]] }), SQUARE)).toBe('column');
  });
});

describe.each(BACKENDS)('a sketch on %s', backend => {
  useBackend(backend);

  it('of full rank is still a sketch', () => {
    const site = soleSite('parameter', SQUARE);
    const projector = sketch({ density: 1 });
    const g = normal(SQUARE, 'gradient');
    const basis = projector.fit(null, null, { site, refreshIndex: 0 });
    const whole = projector.up(projector.down(g, basis, site), basis, site);
    const [values, expected] = [whole.dataSync(), g.dataSync()];
    expect(Math.hypot(...values.map((x, i) => x - expected[i]!))).toBeGreaterThan(0.1);
  });

  it('has entries of the variance 1 / r, the same for every backend', () => {
    const site = soleSite('parameter', [200, 100]);
    const values = basisNumbers(sketch({ rank: 20 }).fit(null, null, { site, refreshIndex: 3 }))['right']!;
    const variance = values.reduce((sum, x) => sum + x * x, 0) / values.length;
    // Of N squares of normal numbers, the mean is within five of its standard errors √(2/N).
    expect(Math.abs(20 * variance - 1)).toBeLessThan(5 * Math.sqrt(2 / values.length));
    // A later version must draw the same, or count another revision.
    expect(values.slice(0, 2)).toEqual([-0.07993505895137787, 0.13816127181053162]);
  });
});
