import { recipe } from '@frugaljs/composer';
import { LlamaForCausalLM } from '@frugaljs/llama';
import { memory, train as tfTrain } from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, expect, test } from 'vitest';
import { selectBackend } from '../src/backend.js';
import type { GradientConsumer } from '../src/training/steps.js';
import { type Step, type StepsOptions, trainingSteps } from '../src/training/steps.js';
import { TINY, tinyData } from './support/tiny.js';

const data = tinyData();
let model: LlamaForCausalLM;
let optimizers: { dispose(): void }[] = [];

beforeAll(() => selectBackend('wasm'));
afterEach(() => {
  model?.dispose();
  for (const optimizer of optimizers) optimizer.dispose();
  optimizers = [];
});

function fresh(): void {
  model?.dispose();
  model = new LlamaForCausalLM(TINY, { seed: 5 });
}

function adamW(options = {}) {
  const optimizer = recipe('adamW', { learningRate: 0.01, ...options });
  optimizers.push(optimizer);
  return optimizer;
}

async function steps(
  optimizer: GradientConsumer,
  options: Partial<StepsOptions<never>> & { steps: number },
): Promise<Step[]> {
  const made: Step[] = [];
  for await (const step of trainingSteps({ model, optimizer, data, ...options })) made.push(step);
  return made;
}

const losses = (made: readonly Step[]): number[] => made.map(({ loss }) => loss);

test('the loss falls', async () => {
  fresh();
  const made = await steps(adamW(), { steps: 60 });
  expect(made.map(({ step }) => step)).toEqual(Array.from({ length: 60 }, (_, i) => i + 1));
  expect(made[0]!.loss).toBeGreaterThan(5);
  expect(made.at(-1)!.loss).toBeLessThan(3);
});

test('the same seed gives the same losses, to the bit', async () => {
  fresh();
  const once = losses(await steps(adamW(), { steps: 12 }));
  fresh();
  expect(losses(await steps(adamW(), { steps: 12 }))).toEqual(once);
});

test('a run that stops and goes on from firstStep is the run that never stopped', async () => {
  fresh();
  const whole = losses(await steps(adamW(), { steps: 12 }));
  fresh();
  const optimizer = adamW();
  const first = losses(await steps(optimizer, { steps: 5 }));
  const second = await steps(optimizer, { steps: 12, firstStep: 5 });
  expect(second[0]!.step).toBe(6);
  expect([...first, ...losses(second)]).toEqual(whole);
});

test('frozen variables stay, and something must be trained', async () => {
  fresh();
  const [frozen, ...others] = Object.values(model.parameters());
  frozen!.trainable = false;
  const before = frozen!.dataSync().slice();
  const updates: number[] = [];
  const made = await steps(adamW(), { steps: 2, beforeUpdate: () => updates.push(updates.length) });
  expect(made).toHaveLength(2);
  expect(updates).toEqual([0, 1]);
  expect(frozen!.dataSync()).toEqual(before);
  for (const variable of others) variable.trainable = false;
  await expect(steps(adamW(), { steps: 1 })).rejects.toThrow('all of them frozen');
});

test('an update over two batches of four rows is one over their eight rows', async () => {
  fresh();
  const halves = await steps(adamW({ accumulate: 2 }), { steps: 6, accumulate: 2 });
  fresh();
  const wholes: Step[] = [];
  const doubled = tinyData(8);
  for await (const step of trainingSteps({ model, optimizer: adamW(), data: doubled, steps: 6 })) wholes.push(step);
  for (const [i, { loss }] of wholes.entries()) expect(halves[i]!.loss).toBeCloseTo(loss, 4);
});

test('an optimizer that accumulates another number of batches is an error', async () => {
  fresh();
  await expect(steps(adamW({ accumulate: 2 }), { steps: 3 })).rejects.toThrow(/train\.accumulate: .*made 0 updates/);
  fresh();
  await expect(steps(adamW(), { steps: 3, accumulate: 2 })).rejects.toThrow(/train\.accumulate: .*made 2 updates/);
});

test('the learning rate of each update is told', async () => {
  fresh();
  const [step] = await steps(adamW({ learningRate: 0.25 }), { steps: 1 });
  expect(step!.learningRate).toBe(0.25);
});

test("tfjs's own optimizers train too, and have no rate to tell of", async () => {
  fresh();
  const optimizer = tfTrain.sgd(0.5);
  optimizers.push(optimizer);
  const made = await steps(optimizer, { steps: 30 });
  expect(made.at(-1)!.loss).toBeLessThan(made[0]!.loss);
});

test('no tensor is left behind but the state of the optimizer', async () => {
  fresh();
  const optimizer = adamW();
  await steps(optimizer, { steps: 1 });
  const before = memory().numTensors;
  await steps(optimizer, { steps: 6, firstStep: 1 });
  expect(memory().numTensors).toBe(before);
});

test('no tensor is left behind when the optimizer throws', async () => {
  fresh();
  const before = memory().numTensors;
  const failing: GradientConsumer = {
    applyGradients: () => {
      throw new Error('out of order');
    },
  };
  await expect(steps(failing, { steps: 2 })).rejects.toThrow('out of order');
  // The first pass through a length makes tables that the model keeps.
  const tables = memory().numTensors - before;
  await expect(steps(failing, { steps: 2 })).rejects.toThrow('out of order');
  expect(memory().numTensors - before).toBe(tables);
});

test('a signal ends it after the step that is under way', async () => {
  fresh();
  const stop = new AbortController();
  const made: Step[] = [];
  for await (const step of trainingSteps({ model, optimizer: adamW(), data, steps: 100, signal: stop.signal })) {
    made.push(step);
    if (step.step === 3) stop.abort();
  }
  expect(made.length).toBe(3);
});

test.each([
  ['train.steps', { steps: 0 }],
  ['train.steps', { steps: -1 }],
  ['train.steps', { steps: 1.5 }],
  ['train.firstStep', { steps: 1, firstStep: -1 }],
  ['train.accumulate', { steps: 1, accumulate: 0 }],
])('%s outside its domain is an error: %o', async (parameter, options) => {
  fresh();
  await expect(steps(adamW(), options)).rejects.toThrow(`${parameter}: expected an integer of at least`);
});
