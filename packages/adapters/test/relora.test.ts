import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import '@tensorflow/tfjs-layers';
import { type ComposedOptimizer, recipe } from '@frugaljs/composer';
import { constant, linear, scheduleFromJson } from '@frugaljs/core';
import { LlamaForCausalLM } from '@frugaljs/llama';
import { memory, setBackend, train } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { ROWS, TINY } from '../../llama/test/tiny-model.js';
import { Lora, Relora, type ReloraOptions, rewarmed } from '../src/index.js';

function setUp(options: ReloraOptions, name = 'adamW') {
  const model = new LlamaForCausalLM(TINY, { seed: 5 });
  const lora = new Lora(model, { r: 2, seed: 3 });
  const optimizer = recipe(name, { learningRate: 0.01, ...(name === 'galore' && { rank: 1 }) });
  onTestFinished(() => {
    optimizer.dispose();
    lora.unload();
    model.dispose();
  });
  const relora = new Relora(lora, optimizer, options);
  const step = async (): Promise<boolean> => {
    const merged = await relora.beforeUpdate();
    optimizer.minimize(() => model.loss(ROWS));
    return merged;
  };
  return { model, lora, optimizer, relora, step };
}

/** The moments of A and B by name. */
async function moments(optimizer: ComposedOptimizer): Promise<Record<string, number[]>> {
  const state = await optimizer.getWeights();
  const floats = state.filter(({ tensor }) => tensor.dtype === 'float32');
  return Object.fromEntries(floats.map(({ name, tensor }) => [name, Array.from(tensor.dataSync())]));
}

describe.each(BACKENDS)('on %s', backend => {
  useBackend(backend);

  test('merges before update K, 2K …', async () => {
    const { relora, step } = setUp({ every: 3 });
    const merged: boolean[] = [];
    for (let i = 0; i < 7; i++) merged.push(await step());
    expect(merged).toEqual([false, false, false, true, false, false, true]);
    expect(await relora.beforeUpdate()).toBe(false);
  });

  test('at a merge the loss stays, B is 0, and few moments are left, in pairs', async () => {
    const { model, lora, optimizer, relora, step } = setUp({ every: 4, prune: 0.75 });
    for (let i = 0; i < 4; i++) await step();
    const [loss, before] = [model.loss(ROWS).dataSync()[0]!, await moments(optimizer)];
    const { numTensors } = memory();
    expect(await relora.beforeUpdate()).toBe(true);
    expect(memory().numTensors).toBe(numTensors);
    expect(model.loss(ROWS).dataSync()[0]).toBeCloseTo(loss, 5);
    for (const [name, part] of Object.entries(lora.parameters())) {
      if (name.includes('lora_B')) expect(part.dataSync().every(x => x === 0)).toBe(true);
    }
    const after = await moments(optimizer);
    let [kept, all] = [0, 0];
    for (const [name, values] of Object.entries(after).filter(([name]) => name.endsWith('::m'))) {
      const second = after[name.replace(/m$/, 'v')]!;
      for (const [i, value] of values.entries()) {
        expect([0, before[name]![i]]).toContain(value);
        expect(second[i] === 0).toBe(value === 0);
        all += 1;
        if (value !== 0) kept += 1;
      }
    }
    expect(kept / all).toBeGreaterThan(0.2);
    expect(kept / all).toBeLessThan(0.3);
    // Called again it changes nothing.
    await relora.beforeUpdate();
    expect(await moments(optimizer)).toEqual(after);
  });

  test('by magnitude the largest first moments stay', async () => {
    const { optimizer, relora, step } = setUp({ every: 2, pruneBy: 'magnitude' });
    await step();
    await step();
    const before = await moments(optimizer);
    await relora.beforeUpdate();
    const after = await moments(optimizer);
    for (const [name, values] of Object.entries(after).filter(([name]) => name.endsWith('::m'))) {
      const left = values.filter(x => x !== 0).map(Math.abs);
      expect(left).toHaveLength(Math.round(0.1 * values.length));
      const largest = before[name]!.map(Math.abs).sort((a, b) => b - a);
      expect(left.sort((a, b) => b - a)).toEqual(largest.slice(0, left.length));
    }
  });
});

describe('refused', () => {
  beforeAll(async () => void (await setBackend('cpu')));

  test.each(['frugal', 'galore', 'adafactor', 'adamMini', 'foam', 'badam', 'frugal-blockwise', 'scheduleFree'])(
    'the state of %s, which is not one of entries',
    name => {
      expect(() => setUp({ every: 3 }, name)).toThrow('which can be pruned entry by entry');
    },
  );

  test('an optimizer that tells nothing of its state', () => {
    const model = new LlamaForCausalLM(TINY, { seed: 5 });
    const lora = new Lora(model);
    onTestFinished(() => {
      lora.unload();
      model.dispose();
    });
    expect(() => new Relora(lora, train.adam() as never, { every: 2 })).toThrow(
      'found an optimizer without a memoryReport, such as one of tf.train',
    );
  });

  test.each(['adamW', 'lion', 'sgdm', 'signSgd', 'muon'])('not that of %s', async name => {
    const { step } = setUp({ every: 1 }, name);
    await step();
    expect(await step()).toBe(true);
  });

  test.each([
    [{ every: 0 }, 'relora.every'],
    [{ every: 2, prune: 1.5 }, 'relora.prune'],
    [{ every: 2, pruneBy: 'sign' }, 'relora.pruneBy'],
  ])('%j', (options, message) => {
    expect(() => setUp(options as ReloraOptions)).toThrow(message);
  });
});

test('what is summed for an update stays at a merge', async () => {
  await setBackend('wasm');
  const after = async (callsAtMost: number): Promise<readonly number[]> => {
    const model = new LlamaForCausalLM(TINY, { seed: 5 });
    const lora = new Lora(model, { r: 2, seed: 3 });
    const optimizer = recipe('adamW', { learningRate: 0.01, accumulate: 2 });
    const relora = new Relora(lora, optimizer, { every: 2 });
    for (let round = 0; round < 8; round++) {
      if (round % 2 < callsAtMost) await relora.beforeUpdate();
      optimizer.minimize(() => model.loss(ROWS));
    }
    const weights = Object.values(lora.parameters()).flatMap(part => [...part.dataSync()]);
    optimizer.dispose();
    lora.unload();
    model.dispose();
    return weights;
  };
  expect(await after(2)).toEqual(await after(1));
});

test('the rate rises again after each merge, up to that of the schedule', () => {
  const schedule = linear({ from: 1, to: 0, steps: 100 });
  const again = rewarmed({ schedule, every: 10, warmup: 4 });
  for (let k = 0; k < 40; k++) {
    const j = k % 10;
    expect(again.at(k)).toBeCloseTo(schedule.at(k) * (k < 10 || j >= 4 ? 1 : j / 4), 12);
  }
  const above = rewarmed({ schedule: constant(2), every: 5, warmup: 2, warmupStart: 'step' });
  expect([4, 5, 6, 7].map(above.at)).toEqual([2, 1, 2, 2]);
  expect(() => rewarmed({ schedule, every: 3, warmup: 3 })).toThrow('rewarmed.warmup');
  expect(() => rewarmed({ schedule: 0.1 as never, every: 3, warmup: 1 })).toThrow(
    'rewarmed.schedule: expected a schedule such as cosine',
  );
});

test('the schedule travels as JSON', () => {
  const schedule = rewarmed({ schedule: constant(3), every: 7, warmup: 3 });
  const read = scheduleFromJson(JSON.parse(JSON.stringify({ kind: schedule.kind, options: schedule.options })));
  for (let k = 0; k < 30; k++) expect(read.at(k)).toBe(schedule.at(k));
});
