import { fused, grads, matMul, ones, setBackend, type Tensor, tensor, zeros } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  axisSize,
  expectClose,
  expectSameAsCpu,
  filledAxisSize,
  randomFloats,
  randomTensor,
  runOn,
  seed,
  sizeOf,
  type Values,
} from './compare.js';

interface Case {
  readonly aBatch: readonly number[];
  readonly bBatch: readonly number[];
  readonly rows: number;
  readonly depth: number;
  readonly columns: number;
  readonly transposeA: boolean;
  readonly transposeB: boolean;
  readonly seed: number;
}

const shapeOfA = ({ aBatch, rows, depth, transposeA }: Case): number[] =>
  transposeA ? [...aBatch, depth, rows] : [...aBatch, rows, depth];
const shapeOfB = ({ bBatch, depth, columns, transposeB }: Case): number[] =>
  transposeB ? [...bBatch, columns, depth] : [...bBatch, depth, columns];

/** The definition, in float64, with numpy's broadcasting of batches. */
function reference(product: Case): Values {
  const { aBatch, bBatch, rows, depth, columns, transposeA, transposeB } = product;
  const rank = Math.max(aBatch.length, bBatch.length);
  const aligned = (batch: readonly number[]): number[] => [...new Array<number>(rank - batch.length).fill(1), ...batch];
  const [aFull, bFull] = [aligned(aBatch), aligned(bBatch)];
  const batch = aFull.map((size, i) => (size === 1 ? bFull[i]! : size));
  const a = randomFloats(sizeOf(shapeOfA(product)), product.seed);
  const b = randomFloats(sizeOf(shapeOfB(product)), product.seed + 1);
  const data: number[] = [];
  for (let m = 0; m < sizeOf(batch); m++) {
    let rest = m;
    const coordinates = batch.map(() => 0);
    for (let axis = rank - 1; axis >= 0; axis--) {
      coordinates[axis] = rest % batch[axis]!;
      rest = Math.floor(rest / batch[axis]!);
    }
    const matrix = (sizes: readonly number[]): number =>
      sizes.reduce((index, size, axis) => index * size + (size === 1 ? 0 : coordinates[axis]!), 0);
    const [ma, mb] = [matrix(aFull) * rows * depth, matrix(bFull) * depth * columns];
    for (let i = 0; i < rows; i++) {
      for (let j = 0; j < columns; j++) {
        let sum = 0;
        for (let k = 0; k < depth; k++) {
          const x = a[ma + (transposeA ? k * rows + i : i * depth + k)]!;
          sum += x * b[mb + (transposeB ? j * depth + k : k * columns + j)]!;
        }
        data.push(sum);
      }
    }
  }
  return { shape: [...batch, rows, columns], dtype: 'float32', data };
}

async function expectProduct(product: Case): Promise<void> {
  const { transposeA, transposeB } = product;
  const [found] = await runOn('wasm', () => {
    const a = randomTensor(shapeOfA(product), product.seed);
    const b = randomTensor(shapeOfB(product), product.seed + 1);
    return matMul(a, b, transposeA, transposeB);
  });
  // Rounding errors of a sum grow at most linearly with its length.
  expectClose(found!, reference(product), 1e-6 * (10 + product.depth));
}

const plain = fc.record({
  aBatch: fc.constant([]),
  bBatch: fc.constant([]),
  rows: axisSize,
  depth: axisSize,
  columns: axisSize,
  transposeA: fc.boolean(),
  transposeB: fc.boolean(),
  seed,
});

const sameBatch = fc
  .tuple(plain, fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 1, maxLength: 3 }))
  .map(([product, batch]): Case => ({ ...product, aBatch: batch, bBatch: batch }));

const broadcastBatch = fc
  .tuple(
    plain,
    fc.array(fc.tuple(fc.integer({ min: 1, max: 3 }), fc.constantFrom('both', 'a', 'b')), { maxLength: 3 }),
    fc.nat(3),
  )
  .map(([product, axes, dropped]): Case => {
    const aBatch = axes.map(([size, side]) => (side === 'b' ? 1 : size));
    const bBatch = axes.map(([size, side]) => (side === 'a' ? 1 : size));
    return { ...product, aBatch: aBatch.slice(Math.min(dropped, aBatch.length)), bBatch };
  });

describe('matMul', () => {
  it('is the product for all shapes and transpositions', () => fc.assert(fc.asyncProperty(plain, expectProduct)));

  it('is the product of each batch', () => fc.assert(fc.asyncProperty(sameBatch, expectProduct)));

  it('broadcasts batches as numpy does', () => fc.assert(fc.asyncProperty(broadcastBatch, expectProduct)));

  it.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])('goes beyond one block of depth and columns (transposed: %s, %s)', async (transposeA, transposeB) => {
    const sizes = { aBatch: [], bBatch: [], transposeA, transposeB, seed: 7 };
    await expectProduct({ ...sizes, rows: 6, depth: 517, columns: 1029 });
    await expectProduct({ ...sizes, rows: 65, depth: 257, columns: 9 });
  });

  it('has the gradients of the CPU backend', () =>
    fc.assert(
      fc.asyncProperty(fc.oneof(plain, sameBatch), filledAxisSize, async (product, depth) => {
        const filled = { ...product, depth };
        const { transposeA, transposeB } = filled;
        await expectSameAsCpu(() => {
          const a = randomTensor(shapeOfA(filled), filled.seed);
          const b = randomTensor(shapeOfB(filled), filled.seed + 1);
          const dy = randomTensor(matMul(a, b, transposeA, transposeB).shape, filled.seed + 2);
          return grads((x: Tensor, y: Tensor) => matMul(x, y, transposeA, transposeB))([a, b], dy);
        });
      }),
      { numRuns: 50 },
    ));

  it('is deterministic', async () => {
    const product = (): Tensor => matMul(randomTensor([37, 301], 1), randomTensor([53, 301], 2), false, true);
    expect(await runOn('wasm', product)).toEqual(await runOn('wasm', product));
  });

  it('names the operand and both shapes when the inner dimensions differ', async () => {
    await setBackend('wasm');
    expect(() => matMul(ones([2, 3]), ones([3, 2]), false, true)).toThrow(
      /matMul b: expected inner dimension 3.*\[2,3\].*found inner dimension 2.*\[3,2\]/,
    );
  });

  it('says how to multiply integers', async () => {
    await setBackend('wasm');
    expect(() => matMul(ones([2, 2], 'int32'), ones([2, 2], 'int32'))).toThrow(/matMul a.*float32.*int32.*tf\.cast/);
  });
});

describe('fused.matMul', () => {
  const activations = ['linear', 'relu', 'relu6', 'elu', 'sigmoid', 'leakyrelu', 'prelu'] as const;

  it('adds the bias and applies the activation as the CPU backend does', () =>
    fc.assert(
      fc.asyncProperty(
        plain,
        filledAxisSize,
        fc.constantFrom(...activations),
        fc.boolean(),
        (product, depth, activation, withBias) =>
          expectSameAsCpu(() => {
            const filled = {
              ...product,
              depth,
              rows: Math.max(1, product.rows),
              columns: Math.max(1, product.columns),
            };
            return fused.matMul({
              a: randomTensor(shapeOfA(filled), filled.seed),
              b: randomTensor(shapeOfB(filled), filled.seed + 1),
              transposeA: filled.transposeA,
              transposeB: filled.transposeB,
              bias: withBias ? randomTensor([filled.columns], filled.seed + 2) : undefined,
              activation,
              leakyreluAlpha: 0.3,
              preluActivationWeights: randomTensor([filled.columns], filled.seed + 3),
            });
          }),
      ),
      { numRuns: 60 },
    ));

  it('broadcasts a bias that is not one value per column', () =>
    expectSameAsCpu(() => [
      fused.matMul({ a: randomTensor([3, 5], 1), b: randomTensor([5, 4], 2), bias: randomTensor([3, 4], 3) }),
      fused.matMul({ a: randomTensor([3, 5], 1), b: randomTensor([5, 4], 2), bias: tensor([2]), activation: 'relu' }),
    ]));

  it('is zero plus bias for an empty inner dimension', async () => {
    const [found] = await runOn('wasm', () =>
      fused.matMul({ a: zeros([2, 0]), b: zeros([0, 2]), bias: tensor([1, 2]) }),
    );
    expect(found?.data).toEqual([1, 2, 1, 2]);
  });
});
