import { InvalidOptionError, soleSite } from '@frugaljs/core';
import '@tensorflow/tfjs-backend-cpu';
import { memory, mul, sum, type Tensor, tensor, tidy } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { templateProjector } from '../src/template-projector.js';

const shapes = [{ shape: [8, 3] }, { shape: [4, 1] }, { shape: [2, 4, 3] }];
const projector = templateProjector({ density: 0.5 });

/** A gradient of this shape, from a seed. */
function gradient(shape: number[], seed: number): Tensor {
  const size = shape.reduce((product, dimension) => product * dimension, 1);
  const values = fc.sample(fc.float({ min: -10, max: 10, noNaN: true }), { numRuns: size, seed });
  return tensor(values, shape);
}

const inner = (a: Tensor, b: Tensor): number => sum(mul(a, b)).dataSync()[0]!;
const valuesOf = (x: Tensor): number[] => Array.from(x.dataSync());

describe('templateProjector', () => {
  it.each(shapes)('obeys the laws of an orthonormal projector at $shape', ({ shape }) => {
    const site = soleSite('w', shape);
    tidy(() => {
      const g = gradient(shape, 1);
      const basis = projector.fit(g, null, { site, epoch: 0 });
      const low = projector.down(g, basis, site);
      expect(low.shape).toEqual(projector.reducedShape(site, 0));
      for (const [name, { shape: expected, dtype }] of Object.entries(projector.basis(site))) {
        expect(basis[name as keyof typeof basis]).toMatchObject({ shape: expected, dtype });
      }
      const lifted = projector.up(low, basis, site);
      expect(lifted.shape).toEqual(shape);
      // down ∘ up = id on the subspace.
      const again = valuesOf(projector.down(lifted, basis, site));
      for (const [i, value] of valuesOf(low).entries()) expect(again[i]).toBeCloseTo(value, 4);
      // up is the adjoint of down: <down(G), X> = <G, up(X)>.
      const x = projector.down(gradient(shape, 2), basis, site);
      expect(inner(low, x)).toBeCloseTo(inner(g, projector.up(x, basis, site)), 2);
      // The projection loses no more than it must: |G|² = |up(down(G))|² + |residual|².
      expect(inner(g, lifted)).toBeCloseTo(inner(lifted, lifted), 2);
    });
  });

  it('keeps the first rows and is zero elsewhere', () => {
    const site = soleSite('w', [4, 2]);
    tidy(() => {
      const g = tensor([1, 2, 3, 4, 5, 6, 7, 8], [4, 2]);
      const basis = projector.fit(null, null, { site, epoch: 0 });
      const low = projector.down(g, basis, site);
      expect(valuesOf(low)).toEqual([1, 2, 3, 4]);
      expect(valuesOf(projector.up(low, basis, site))).toEqual([1, 2, 3, 4, 0, 0, 0, 0]);
    });
  });

  it('is described by JSON from which it can be made again', () => {
    const { kind, options } = projector;
    expect(kind).toBe('templateProjector');
    expect(templateProjector(JSON.parse(JSON.stringify(options))).options).toEqual(options);
  });

  it.each([{ density: 1.5 }, { density: -0.1 }, { density: Number.NaN }, { unknown: 1 }])('refuses %j', options => {
    expect(() => templateProjector(options)).toThrow(InvalidOptionError);
  });

  it('leaks no tensor', () => {
    const site = soleSite('w', [4, 2]);
    const before = memory().numTensors;
    const g = gradient([4, 2], 1);
    const basis = projector.fit(g, null, { site, epoch: 0 });
    const low = projector.down(g, basis, site);
    const lifted = projector.up(low, basis, site);
    for (const made of [g, ...Object.values(basis), low, lifted]) made.dispose();
    expect(memory().numTensors).toBe(before);
  });
});
