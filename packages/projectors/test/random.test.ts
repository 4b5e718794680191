import { soleSite } from '@frugaljs/core';
import { random } from '@frugaljs/projectors';
import { matMul, type Tensor2D, tidy, transpose } from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { basisNumbers } from './tensors.js';

describe.each(BACKENDS)('random on %s', backend => {
  useBackend(backend);

  it('has orthonormal columns, also where the larger dimension is projected', () => {
    tidy(() => {
      for (const [shape, side] of [
        [[40, 12], 'std'],
        [[12, 40], 'reverse_std'],
        [[9, 9], 'full'],
      ] as const) {
        const basis = random({ density: 0.75, side }).fit(null, null, { site: soleSite('w', shape), refreshIndex: 1 });
        for (const factor of Object.values(basis)) {
          const gram = matMul(transpose(factor) as Tensor2D, factor as Tensor2D).dataSync();
          const r = factor.shape[1]!;
          const off = Array.from(gram, (value, i) => Math.abs(value - (i % (r + 1) === 0 ? 1 : 0)));
          expect(Math.max(...off)).toBeLessThan(5e-6);
        }
      }
    });
  });

  it('draws another basis for another seed, name, place, refresh and side', () => {
    tidy(() => {
      const site = soleSite('w', [10, 10], 3);
      const projector = random({ density: 0.3, side: 'full' });
      const numbersAt = (where: object, refreshIndex = 0): Record<string, number[]> =>
        basisNumbers(projector.fit(null, null, { site: { ...site, ...where }, refreshIndex }));
      const base = numbersAt({});
      expect(numbersAt({})).toEqual(base);
      expect(base['left']).not.toEqual(base['right']);
      for (const other of [
        numbersAt({ seed: 4 }),
        numbersAt({ name: 'v' }),
        numbersAt({ path: 'residual' }),
        numbersAt({}, 1),
      ]) {
        expect(other).not.toEqual(base);
      }
    });
  });
});

describe('the distribution of random', () => {
  useBackend('cpu');

  it('E[Π] = (r / dimension) I, and every entry of the basis is symmetric around 0', () => {
    const [dimension, rank, refreshes] = [5, 2, 1500];
    const site = soleSite('w', [7, dimension]);
    const projector = random({ rank });
    const projection = new Float64Array(dimension * dimension);
    const mean = new Float64Array(dimension * rank);
    for (let refreshIndex = 0; refreshIndex < refreshes; refreshIndex++) {
      tidy(() => {
        const right = projector.fit(null, null, { site, refreshIndex }).right as Tensor2D;
        matMul(right, transpose(right))
          .dataSync()
          .forEach((value, i) => {
            projection[i]! += value / refreshes;
          });
        right.dataSync().forEach((value, i) => {
          mean[i]! += value / refreshes;
        });
      });
    }
    // Entries lie in [-1, 1]; five standard errors.
    const slack = 5 / Math.sqrt(refreshes);
    projection.forEach((value, i) => {
      expect(Math.abs(value - (i % (dimension + 1) === 0 ? rank / dimension : 0))).toBeLessThan(slack / 2);
    });
    for (const value of mean) expect(Math.abs(value)).toBeLessThan(slack / 2);
  });
});
