import { exp, grad, logSoftmax, mean, reshape, sum, tensor } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  axisSize,
  expectClose,
  expectSameAsCpu,
  randomFloats,
  randomTensor,
  runOn,
  seed,
  sizeOf,
  type Values,
} from './compare.js';

const reductions = fc.record({
  shape: fc.array(
    axisSize.map(size => Math.min(size, 19)),
    { minLength: 1, maxLength: 4 },
  ),
  reduced: fc.array(fc.boolean(), { minLength: 4, maxLength: 4 }),
  keepDims: fc.boolean(),
  seed,
});

/** Sums or means in float64. */
function definition(
  means: boolean,
  shape: readonly number[],
  axes: readonly number[],
  keepDims: boolean,
  from: number,
): Values {
  const kept = shape.map((size, axis) => (axes.includes(axis) ? 1 : size));
  const data = new Array<number>(sizeOf(kept)).fill(0);
  for (const [i, value] of randomFloats(sizeOf(shape), from).entries()) {
    let rest = i;
    let at = 0;
    let stride = 1;
    for (let axis = shape.length - 1; axis >= 0; axis--) {
      if (!axes.includes(axis)) {
        at += (rest % shape[axis]!) * stride;
        stride *= shape[axis]!;
      }
      rest = Math.floor(rest / shape[axis]!);
    }
    data[at]! += value;
  }
  const count = sizeOf(axes.map(axis => shape[axis]!));
  return {
    shape: keepDims ? kept : shape.filter((_, axis) => !axes.includes(axis)),
    dtype: 'float32',
    // As tfjs has it, the mean of nothing is 0.
    data: means ? data.map(total => total / Math.max(1, count)) : data,
  };
}

describe.each([
  ['sum', sum],
  ['mean', mean],
] as const)('%s', (_, reduce) => {
  it('is what its definition says, over any axes', () =>
    fc.assert(
      fc.asyncProperty(reductions, async ({ shape, reduced, keepDims, seed: from }) => {
        const axes = shape.map((_, axis) => axis).filter(axis => reduced[axis]);
        const [found] = await runOn('wasm', () => reduce(randomTensor(shape, from), axes, keepDims));
        // float32 loses more in a sum of many: bounded by the sum of the absolute values, which are below 1.
        const count = sizeOf(axes.map(axis => shape[axis]!));
        const tolerance = reduce === mean ? 1e-6 : 1e-6 * Math.max(1, count);
        expectClose(found!, definition(reduce === mean, shape, axes, keepDims, from), tolerance);
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
