import { exp, grad, logSoftmax, mean, reshape, sum, tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { axisSize, expectSameAsCpu, randomFloats, randomTensor, runOn, seed } from './compare.js';

const reductions = fc.record({
  shape: fc.array(
    axisSize.map(size => Math.min(size, 19)),
    { minLength: 1, maxLength: 4 },
  ),
  reduced: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
  keepDims: fc.boolean(),
  seed,
});

describe.each([
  ['sum', sum],
  ['mean', mean],
] as const)('%s', (_, reduce) => {
  it('agrees with the CPU backend over any axes', () =>
    fc.assert(
      fc.asyncProperty(reductions, ({ shape, reduced, keepDims, seed: from }) => {
        const axes = shape.map((_, axis) => axis).filter(axis => reduced[axis]);
        return expectSameAsCpu(() => reduce(randomTensor(shape, from), axes, keepDims), 2e-5);
      }),
    ));

  it.each(['int32', 'bool'] as const)('reduces %s', dtype =>
    expectSameAsCpu(() => {
      const x = tensor([1, 0, 1, 1, 0, 1], [2, 3], dtype);
      return [reduce(x), reduce(x, 0), reduce(x, 1, true)];
    }),
  );

  it('has the gradient of the CPU backend', () =>
    expectSameAsCpu(() => grad(x => reduce(x, [0, 2]))(randomTensor([3, 4, 5], 1), randomTensor([4], 2))));

  it('is zero over nothing', async () => {
    const [found] = await runOn('wasm', () => reduce(reshape(tensor([]), [2, 0]), 1));
    expect(found?.data).toEqual([0, 0]);
  });
});

describe('exp', () => {
  it('is within two rounding steps of the exact value, over the whole range', async () => {
    const x = randomFloats(20003, 1).map(value => value * 104);
    const [found] = await runOn('wasm', () => exp(tensor(x)));
    const wrong = Array.from(x).findIndex((value, i) => {
      const exact = Math.exp(value);
      // Subnormal results have a fixed spacing, 2⁻¹⁴⁹.
      const step = Math.max(exact * 2 ** -23, 2 ** -149);
      return exact < 3.4e38 && !(Math.abs(found!.data[i]! - exact) <= 2 * step);
    });
    expect(wrong).toBe(-1);
  });

  it('reaches its limits', async () => {
    const x = [0, -0, Number.NaN, Infinity, -Infinity, 88.8, 1e30, -104, -1e30];
    const [found] = await runOn('wasm', () => exp(tensor(x)));
    expect(found?.data).toEqual([1, 1, Number.NaN, Infinity, 0, Infinity, Infinity, 0, 0]);
  });

  it('agrees with the CPU backend for every length and for integers', () =>
    fc.assert(
      fc.asyncProperty(axisSize, seed, (size, from) =>
        expectSameAsCpu(() => [exp(randomTensor([size], from)), exp(tensor([-2, 0, 3], [3], 'int32'))], 1e-6),
      ),
      { numRuns: 40 },
    ));

  it('carries logSoftmax and its gradient', () =>
    expectSameAsCpu(() => {
      const x = randomTensor([5, 37], 1);
      return [logSoftmax(x), grad(y => logSoftmax(y))(x, randomTensor([5, 37], 2))];
    }));
});
