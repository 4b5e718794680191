import { LlamaForCausalLM } from '@frugaljs/llama';
import { memory } from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import { selectBackend } from '../src/backend.js';
import { type CompareOptions, compare } from '../src/comparison/compare.js';
import { optimizerOf, parseMethods, tunedMethod } from '../src/comparison/method.js';
import { COMPARISON_DEFAULTS } from '../src/comparison/result.js';
import { affordableSteps } from '../src/comparison/timing.js';
import { trainingSchedule } from '../src/training/schedule.js';
import { trainingSteps } from '../src/training/steps.js';
import { TINY, tinyData } from './support/tiny.js';

const data = tinyData();
const methods = (list: string, steps: number) =>
  parseMethods(list).map(spec => tunedMethod(spec, { steps, layers: TINY.num_hidden_layers }));

function run(list: string, steps: number, options: Partial<CompareOptions> = {}) {
  return compare({
    config: TINY,
    data,
    methods: methods(list, steps),
    steps,
    seed: 2,
    validationBatches: 4,
    ...options,
  });
}

beforeAll(() => selectBackend('wasm'));

test('the default methods start from the same weights and batches, and all of them learn', async () => {
  const before = memory().numTensors;
  const { runs, settings, interrupted } = await run(COMPARISON_DEFAULTS.optimizers, 60);
  expect(runs.map(({ optimizer }) => optimizer)).toEqual(['AdamW', 'FRUGAL ρ=0.25', 'FRUGAL ρ=0', 'BAdam', 'GaLore']);
  for (const { losses, validationLoss, perplexity, status, steps, msPerStep, msPerOptimizerStep } of runs) {
    expect(losses.length).toBe(60);
    expect(losses[0]).toBe(runs[0]!.losses[0]);
    expect(validationLoss!).toBeLessThan(losses[0]! - 1);
    expect(perplexity).toBe(Math.exp(validationLoss!));
    expect({ status, steps }).toEqual({ status: 'finished', steps: 60 });
    expect(msPerStep!).toBeGreaterThan(msPerOptimizerStep!);
    expect(msPerOptimizerStep!).toBeGreaterThan(0);
  }
  const [adamW, quarter, none, badam, galore] = runs.map(({ stateBytes }) => stateBytes);
  expect(adamW).toBe(2 * 4 * settings.parameters);
  expect(quarter!).toBeLessThan(adamW!);
  expect(none!).toBeLessThan(Math.min(quarter!, badam!, galore!));
  expect(settings).toMatchObject({ steps: 60, batch: 4, length: 16, seed: 2, backend: 'wasm', evaluatedTokens: 256 });
  expect(interrupted).toBe(false);
  expect(memory().numTensors).toBe(before);
});

test('the same seed gives the same losses, another seed gives others', async () => {
  const list = 'frugal,galore';
  const numbers = async (seed: number) => {
    const { runs } = await run(list, 8, { seed });
    return runs.map(({ losses, validationLoss }) => ({ losses, validationLoss }));
  };
  const once = await numbers(2);
  expect(await numbers(2)).toEqual(once);
  expect(await numbers(3)).not.toEqual(once);
});

test('the state in the table is what the optimizer holds, to the byte', async () => {
  const steps = 6;
  for (const method of methods(COMPARISON_DEFAULTS.optimizers, steps)) {
    const { runs } = await compare({ config: TINY, data, methods: [method], steps, seed: 2, validationBatches: 1 });
    const model = new LlamaForCausalLM(TINY, { seed: 2 });
    const optimizer = optimizerOf(method, trainingSchedule({ peak: method.learningRate, steps }), 2);
    for await (const _ of trainingSteps({ model, optimizer, data, steps }));
    const withState = memory().numBytes;
    optimizer.dispose();
    expect(withState - memory().numBytes, method.label).toBe(runs[0]!.stateBytes);
    model.dispose();
  }
});

test('a method that diverges is reported and does not stop the others', async () => {
  const { runs, interrupted } = await run('sgd:lr=1e30,adamW', 6);
  expect(runs[0]).toMatchObject({ status: 'diverged', validationLoss: null, perplexity: null });
  expect(runs[0]!.steps).toBeLessThan(6);
  expect(runs[1]).toMatchObject({ optimizer: 'AdamW', status: 'finished', steps: 6 });
  expect(interrupted).toBe(false);
});

test('a signal ends it after the step under way; what is done is kept', async () => {
  const stop = new AbortController();
  const { runs, interrupted } = await run('adamW,frugal,badam', 5, {
    signal: stop.signal,
    onStep: ({ recipe }, { step }) => {
      if (recipe === 'frugal' && step === 3) stop.abort();
    },
  });
  expect(interrupted).toBe(true);
  expect(runs.map(({ status, steps }) => [status, steps])).toEqual([
    ['finished', 5],
    ['interrupted', 3],
  ]);
  expect(runs[1]).toMatchObject({ validationLoss: null, perplexity: null });
  expect(runs[1]!.losses.length).toBe(3);
});

test('steps are cut to what the time allows, and never below what shows anything', async () => {
  const before = memory().numTensors;
  const budget = (milliseconds: number) =>
    affordableSteps(TINY, data, { runs: 5, wanted: 400, milliseconds, signal: new AbortController().signal });
  expect((await budget(1e9))!.steps).toBe(400);
  const { steps, millisecondsPerStep } = (await budget(3000))!;
  expect(steps === 20 || 5 * steps * millisecondsPerStep <= 3000).toBe(true);
  expect((await budget(0))!.steps).toBe(20);
  expect(
    await affordableSteps(TINY, data, { runs: 1, wanted: 9, milliseconds: 1, signal: AbortSignal.abort() }),
  ).toBeNull();
  expect(memory().numTensors).toBe(before);
});
