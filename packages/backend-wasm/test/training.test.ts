import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-layers';
import {
  backend,
  dispose,
  matMul,
  memory,
  setBackend,
  type Tensor,
  type Tensor1D,
  tensor,
  tensor1d,
  tidy,
  train,
  type Variable,
  variable,
  variableGrads,
} from '@tensorflow/tfjs-core';
import { beforeEach, describe, expect, it } from 'vitest';
import { createLlama, type LlamaSizes } from '../bench/llama.js';
import { type TensorHeap, tensorHeap } from '../src/index.js';
import { expectClose, randomTensor, type Values } from './compare.js';

const sizes: LlamaSizes = { layers: 1, width: 24, heads: 2, hidden: 20, vocabulary: 13, batch: 2, length: 7 };
const tokensFrom = (start: number): Tensor1D =>
  tensor1d(
    Array.from({ length: sizes.batch * sizes.length }, (_, i) => (i * 5 + start) % sizes.vocabulary),
    'int32',
  );

/** The loss and the gradient of every variable. */
async function lossAndGradients(backendName: string): Promise<Values[]> {
  await setBackend(backendName);
  const model = createLlama(sizes);
  const [tokens, targets] = [tokensFrom(0), tokensFrom(5)];
  const { value, grads } = variableGrads(() => model.loss(tokens, targets), model.variables);
  const results: Tensor[] = [value, ...model.variables.map(({ name }) => grads[name]!)];
  const values = results.map(result => ({
    shape: result.shape,
    dtype: result.dtype,
    data: Array.from(result.dataSync<'float32'>()),
  }));
  dispose([results, model.variables, tokens, targets]);
  return values;
}

describe('a LLaMA', () => {
  it('has the loss and the gradients of the CPU backend', async () => {
    const expected = await lossAndGradients('cpu');
    const found = await lossAndGradients('wasm');
    expect(found).toHaveLength(expected.length);
    for (const [i, values] of found.entries()) expectClose(values, expected[i]!, 1e-6);
    expect(found.slice(1).every(({ data }) => data.some(value => value !== 0))).toBe(true);
  });
});

/** Counts the blocks that tfjs and this package hold on the heap, below what tf.memory() sees. */
function countBlocks(heap: TensorHeap): { readonly live: Set<number>; stop(): void } {
  const wasm = heap.backend.wasm as unknown as { _malloc(bytes: number): number; _free(offset: number): void };
  const { _malloc, _free } = wasm;
  const live = new Set<number>();
  wasm._malloc = bytes => {
    const offset = _malloc(bytes);
    live.add(offset);
    return offset;
  };
  wasm._free = offset => {
    live.delete(offset);
    _free(offset);
  };
  return {
    live,
    stop: () => {
      wasm._malloc = _malloc;
      wasm._free = _free;
    },
  };
}

describe('500 steps', () => {
  let heap: TensorHeap;

  beforeEach(async () => {
    await setBackend('wasm');
    heap = tensorHeap(backend());
  });

  /** Runs the step 500 times; nothing may be left behind by the last 450. */
  function expectSteady(step: (i: number) => void): void {
    const blocks = countBlocks(heap);
    const snapshot = () => ({
      ...memory(),
      blocks: blocks.live.size,
      dataIds: heap.backend.numDataIds(),
      heap: heap.memory.buffer.byteLength,
    });
    try {
      for (let i = 0; i < 50; i++) step(i);
      const early = snapshot();
      for (let i = 50; i < 500; i++) step(i);
      expect(snapshot()).toEqual(early);
    } finally {
      blocks.stop();
    }
  }

  it('of training learn the next token and leave heap and tensors as they were', () => {
    const model = createLlama(sizes);
    const optimizer = train.sgd(1);
    const [tokens, targets] = [tokensFrom(0), tokensFrom(5)];
    const losses: number[] = [];
    expectSteady(() => {
      const loss = optimizer.minimize(() => model.loss(tokens, targets), true, model.variables)!;
      losses.push(loss.dataSync()[0]!);
      loss.dispose();
    });
    expect(losses[0]).toBeCloseTo(Math.log(sizes.vocabulary), 1);
    expect(losses[499]).toBeLessThan(0.05);
    optimizer.dispose();
    dispose([model.variables, tokens, targets]);
  });

  it.each([
    [false, false],
    [false, true],
    [true, false],
    [true, true],
  ])('of large products with new weights see the new weights (transposed: %s, %s)', (transposeA, transposeB) => {
    const size = 96;
    const x = randomTensor([size, size], 1);
    const weights: Variable = variable(randomTensor([size, size], 2));
    const row = Array.from(x.dataSync()).filter((_, i) => (transposeA ? i % size : Math.floor(i / size)) === 0);
    expectSteady(i => {
      tidy(() => {
        // Weights of one value: the product's first entry is that value times the sum of x's first row.
        weights.assign(tensor(new Float32Array(size * size).fill(i + 1), [size, size]));
        const first = matMul(x, weights, transposeA, transposeB).dataSync()[0]!;
        const expected = row.reduce((sum, value) => sum + value, 0) * (i + 1);
        if (Math.abs(first - expected) > 1e-4 * (i + 1)) expect(first).toBe(expected);
      });
    });
    dispose([x, weights]);
  });
});
