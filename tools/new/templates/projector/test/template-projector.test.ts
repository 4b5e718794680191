import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { InvalidOptionError, soleSite } from '@frugaljs/core';
import { describeProjectorLaws } from '@frugaljs/testing/vitest';
import { tensor, tidy } from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { templateProjector } from '../src/template-projector.js';

// The laws of projectors. Claims that fit a projector fitted to the gradient: `optimal: 1`, `permutationEquivariant: true`.
describeProjectorLaws(templateProjector, { parameters: 'any', backends: ['cpu', 'wasm'] });

describe('templateProjector', () => {
  it('keeps the first rows and is zero elsewhere', () => {
    const site = soleSite('w', [4, 2]);
    const projector = templateProjector({ density: 0.5 });
    tidy(() => {
      const g = tensor([1, 2, 3, 4, 5, 6, 7, 8], [4, 2]);
      const basis = projector.fit(null, null, { site, refreshIndex: 0 });
      const low = projector.down(g, basis, site);
      expect(Array.from(low.dataSync())).toEqual([1, 2, 3, 4]);
      expect(Array.from(projector.up(low, basis, site).dataSync())).toEqual([1, 2, 3, 4, 0, 0, 0, 0]);
    });
  });

  it.each([{ density: 1.5 }, { density: -0.1 }, { density: Number.NaN }, { unknown: 1 }])('refuses %j', options => {
    expect(() => templateProjector(options)).toThrow(InvalidOptionError);
  });
});
