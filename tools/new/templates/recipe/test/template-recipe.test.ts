import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-layers'; // registers the gradients
import { InvalidOptionError } from '@frugaljs/core';
import { ones, type Scalar, setBackend, squaredDifference, sum, variable } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import { templateRecipe } from '../src/template-recipe.js';

beforeAll(async () => {
  await setBackend('cpu');
});

// That it lowers a loss, keeps to the memory it announces and goes on bit for bit is held by the tests of all recipes.
describe('templateRecipe', () => {
  it('announces state for a share of a hidden matrix, and for all of the rest', () => {
    const optimizer = templateRecipe({ density: 0.5 });
    const report = optimizer.memoryReport([
      { name: 'layers.0.up', shape: [6, 8] },
      { name: 'lm_head', shape: [6, 8] },
    ]);
    expect(report.map(({ slotBytes }) => slotBytes)).toEqual([2 * 4 * 24, 2 * 4 * 48]);
    optimizer.dispose();
  });

  it('keeps full state where it is told to, and takes kernels of convolutions where they are asked for', () => {
    const optimizer = templateRecipe({ density: 0.5, fullRank: 'head', convolutions: true });
    const report = optimizer.memoryReport([
      { name: 'head', shape: [6, 8] },
      { name: 'kernel', shape: [3, 3, 2, 8] },
    ]);
    expect(report.map(({ slotBytes }) => slotBytes)).toEqual([2 * 4 * 48, 2 * 4 * 72]);
    optimizer.dispose();
  });

  it('trains', () => {
    const weights = variable(ones([4, 8]), true, 'templateRecipe');
    const optimizer = templateRecipe({ learningRate: 0.1, updateGap: 5 });
    const loss = (): Scalar => sum(squaredDifference(weights, 3));
    const before = loss().dataSync()[0]!;
    for (let i = 0; i < 15; i++) optimizer.minimize(loss, false, [weights]);
    expect(loss().dataSync()[0]!).toBeLessThan(before / 2);
    optimizer.dispose();
    weights.dispose();
  });

  it.each([{ density: 1.5 }, { updateGap: 0 }, { learningRate: -1 }, { unknown: 1 }])('refuses %j', options => {
    expect(() => templateRecipe(options)).toThrow(InvalidOptionError);
  });
});
