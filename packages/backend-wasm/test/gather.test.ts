import { gather, grad, scatterND, setBackend, type Tensor1D, tensor, unsortedSegmentSum } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  axisSize,
  expectSameAsCpu,
  filledAxisSize,
  randomFloats,
  randomTensor,
  runOn,
  seed,
  sizeOf,
} from './compare.js';

/** Integers in [low, high) from a seed. */
function randomIntegers(count: number, low: number, high: number, from: number): number[] {
  return Array.from(randomFloats(count, from), x => low + Math.floor(((x + 1) / 2) * (high - low)));
}

describe('gather', () => {
  interface Case {
    readonly shape: readonly number[];
    readonly indexShape: readonly number[];
    readonly axis: number;
    readonly batchDims: number;
    readonly seed: number;
  }
  const sizes = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 4 });
  const cases = fc
    .tuple(sizes, fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 2 }), fc.nat(3), fc.nat(3), seed)
    .map(([shape, ownShape, anyAxis, anyBatch, from]): Case => {
      const axis = anyAxis % shape.length;
      const batchDims = anyBatch % (axis + 1);
      return { shape, indexShape: [...shape.slice(0, batchDims), ...ownShape], axis, batchDims, seed: from };
    });
  const indicesOf = ({ shape, indexShape, axis, seed: from }: Case) =>
    tensor(randomIntegers(sizeOf(indexShape), 0, shape[axis]!, from + 1), [...indexShape], 'int32');

  it('agrees with the CPU backend along any axis, with any batch dimensions', () =>
    fc.assert(
      fc.asyncProperty(cases, one =>
        expectSameAsCpu(
          () => gather(randomTensor(one.shape, one.seed), indicesOf(one) as Tensor1D, one.axis, one.batchDims),
          0,
        ),
      ),
    ));

  it.each(['int32', 'bool'] as const)('gathers %s', dtype =>
    expectSameAsCpu(() => {
      const x = tensor(randomIntegers(30, 0, 2, 1), [5, 6], dtype);
      return [
        gather(x, tensor([4, 0, 4], [3], 'int32') as Tensor1D),
        gather(x, tensor([5, 1], [2], 'int32') as Tensor1D, -1),
      ];
    }),
  );

  it('has the gradient of the CPU backend', () =>
    fc.assert(
      fc.asyncProperty(
        fc.tuple(filledAxisSize, filledAxisSize, filledAxisSize),
        axisSize,
        fc.nat(2),
        seed,
        (shape, count, axis, from) =>
          expectSameAsCpu(() => {
            const indices = tensor(randomIntegers(count, 0, shape[axis]!, from), [count], 'int32') as Tensor1D;
            const x = randomTensor(shape, from + 1);
            const dy = randomTensor(
              shape.map((size, i) => (i === axis ? count : size)),
              from + 2,
            );
            return grad(y => gather(y, indices, axis))(x, dy);
          }),
      ),
      { numRuns: 30 },
    ));

  it('rejects indices outside the axis', async () => {
    await setBackend('wasm');
    const x = randomTensor([3, 2], 1);
    for (const index of [-1, 3]) {
      const indices = tensor([0, index], [2], 'int32') as Tensor1D;
      expect(() => gather(x, indices)).toThrow(`gather indices[1]: expected an index in [0, 3), found ${index}`);
      indices.dispose();
    }
    x.dispose();
  });
});

describe('unsortedSegmentSum', () => {
  const cases = fc.record({
    rows: axisSize,
    rest: fc.array(filledAxisSize, { maxLength: 2 }),
    segments: fc.integer({ min: 1, max: 9 }),
    seed,
  });

  it('agrees with the CPU backend, ids out of range included', () =>
    fc.assert(
      fc.asyncProperty(cases, one =>
        expectSameAsCpu(() => {
          const ids = tensor(randomIntegers(one.rows, -3, one.segments + 3, one.seed), [one.rows], 'int32') as Tensor1D;
          return unsortedSegmentSum(randomTensor([one.rows, ...one.rest], one.seed + 1), ids, one.segments);
        }),
      ),
      { numRuns: 60 },
    ));

  it('has the gradient of the CPU backend', () =>
    expectSameAsCpu(() => {
      const ids = tensor([1, 0, 1, 2], [4], 'int32') as Tensor1D;
      return grad(x => unsortedSegmentSum(x, ids, 3))(randomTensor([4, 5], 1), randomTensor([3, 5], 2));
    }));

  it('sums over all leading dimensions that the ids have', async () => {
    const [found] = await runOn('wasm', () => {
      const ids = tensor([0, 1, 0, 5, -1, 1], [2, 3], 'int32') as unknown as Tensor1D;
      return unsortedSegmentSum(tensor([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], [2, 3, 2]), ids, 2);
    });
    expect(found).toEqual({ shape: [2, 2], dtype: 'float32', data: [1 + 5, 2 + 6, 3 + 11, 4 + 12] });
  });

  it.each(['int32', 'bool'] as const)('sums %s exactly, as int32', async dtype => {
    const values = dtype === 'bool' ? [1, 1, 0, 1, 1] : [16777217, 2, -3, 4, 16777216];
    const [found] = await runOn('wasm', () => {
      const ids = tensor([1, 0, 1, 0, 1], [5], 'int32') as Tensor1D;
      return unsortedSegmentSum(tensor(values, [5], dtype), ids, 2);
    });
    const data = dtype === 'bool' ? [2, 2] : [6, 16777217 - 3 + 16777216];
    expect(found).toEqual({ shape: [2], dtype: 'int32', data });
  });

  it('rejects ids that are not the leading dimensions of x', async () => {
    await setBackend('wasm');
    const x = randomTensor([4, 5], 1);
    const ids = tensor([0, 1, 0], [3], 'int32') as Tensor1D;
    expect(() => unsortedSegmentSum(x, ids, 2)).toThrow(
      /segmentIds: .*leading dimensions of x, of shape \[4,5\].*\[3\]/,
    );
    x.dispose();
    ids.dispose();
  });
});

describe('scatterND', () => {
  it('adds rows up as the CPU backend does', () =>
    fc.assert(
      fc.asyncProperty(
        axisSize,
        filledAxisSize,
        filledAxisSize,
        fc.boolean(),
        seed,
        (count, rows, width, isFloat, from) =>
          expectSameAsCpu(() => {
            const indices = tensor(randomIntegers(count, 0, rows, from), [count, 1], 'int32');
            const updates = isFloat
              ? randomTensor([count, width], from + 1)
              : tensor(randomIntegers(count * width, -9, 9, from + 1), [count, width], 'int32');
            return scatterND(indices, updates, [rows, width]);
          }),
      ),
      { numRuns: 50 },
    ));

  it('scatters single elements and numbers into a vector', () =>
    expectSameAsCpu(() => [
      scatterND(tensor([1, 0, 1, 1, 1, 0], [3, 2], 'int32'), tensor([1, 2, 3]), [2, 3]),
      scatterND(tensor([1, 0, 1], [3, 1], 'int32'), tensor([1, 2, 3]), [4]),
      scatterND(tensor([1, 0, 1], [1, 3, 1], 'int32'), tensor([1, 2, 3], [1, 3]), [4]),
    ]));

  it('rejects indices outside the result', async () => {
    await setBackend('wasm');
    for (const index of [-1, 5]) {
      const [indices, updates] = [tensor([0, index], [2, 1], 'int32'), tensor([1, 2])];
      expect(() => scatterND(indices, updates, [5])).toThrow(
        `scatterND indices[1]: expected an index in [0, 5), found ${index}`,
      );
      indices.dispose();
      updates.dispose();
    }
  });
});
