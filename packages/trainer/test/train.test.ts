import { recipe } from '@frugaljs/composer';
import { LlamaForCausalLM } from '@frugaljs/llama';
import { memory } from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { selectBackend } from '../src/backend.js';
import { evaluate, type TrainOptions, train } from '../src/training/train.js';
import { TINY, tinyData } from './support/tiny.js';

const data = tinyData();
let model: LlamaForCausalLM;
let optimizer: ReturnType<typeof recipe>;

beforeAll(() => selectBackend('wasm'));
beforeEach(() => {
  model = new LlamaForCausalLM(TINY, { seed: 5 });
  optimizer = recipe('adamW', { learningRate: 0.01 });
});
afterEach(() => {
  model.dispose();
  optimizer.dispose();
});

function run(options: Partial<TrainOptions<never>> & { steps: number }) {
  return train({ model, optimizer, data, validationBatches: 4, ...options });
}

test('evaluates on the way and at the end, and reports what it measured', async () => {
  const seen: number[] = [];
  const result = await run({
    steps: 10,
    evaluateEvery: 4,
    onStep: ({ step }) => void seen.push(step),
    onEvaluation: async ({ step }) => void seen.push(-step),
  });
  expect(seen).toEqual([1, 2, 3, 4, -4, 5, 6, 7, 8, -8, 9, 10, -10]);
  expect(result.evaluations.map(({ step }) => step)).toEqual([4, 8, 10]);
  expect(result.losses.length).toBe(10);
  expect(result.interrupted).toBe(false);
  expect(result.validationLoss).toBe(await evaluate(model, data.validationBatches(4)));
  expect(result.step.mean!).toBeGreaterThan(result.optimizerStep.mean!);
  expect(result.optimizerStep.median!).toBeGreaterThan(0);
});

test('the validation loss is the mean over the batches, and leaves no tensors', async () => {
  const batches = data.validationBatches(3);
  const each = batches.map(batch => {
    const loss = model.loss(batch);
    const [value] = loss.dataSync();
    loss.dispose();
    return value!;
  });
  const before = memory().numTensors;
  expect(await evaluate(model, batches)).toBeCloseTo((each[0]! + each[1]! + each[2]!) / 3, 12);
  expect(memory().numTensors).toBe(before);
});

test('an aborted run says so and has no validation loss', async () => {
  const stop = new AbortController();
  const result = await run({ steps: 50, signal: stop.signal, onStep: ({ step }) => void (step === 4 && stop.abort()) });
  expect(result).toMatchObject({ steps: 4, interrupted: true, validationLoss: null, evaluations: [] });
  expect(await evaluate(model, data.validationBatches(2), stop.signal)).toBeNull();
});

test('a run aborted before its first step has no times', async () => {
  const result = await run({ steps: 5, signal: AbortSignal.abort() });
  expect(result).toMatchObject({ steps: 0, losses: [], step: { mean: null, median: null } });
});

test.each([
  ['train.evaluateEvery', { steps: 2, evaluateEvery: 0 }],
  ['train.validationBatches', { steps: 2, validationBatches: 0 }],
])('%s outside its domain is an error, before any step', async (parameter, options) => {
  await expect(run(options)).rejects.toThrow(`${parameter}: expected an integer of at least 1`);
  expect(optimizer.updates).toBe(0);
});
