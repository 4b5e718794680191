import { recipe } from '@frugaljs/composer';
import * as core from '@frugaljs/core';
import { DeviceLostError, FrugalError, NonFiniteGradientError, OutOfMemoryError } from '@frugaljs/core';
import { LlamaForCausalLM, preset } from '@frugaljs/llama';
import { backend, memory, zeros } from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { selectBackend } from '../src/backend.js';
import { explainFailure } from '../src/errors.js';
import * as trainer from '../src/index.js';
import { memoryOf } from '../src/memory/memory-of.js';
import { outOfMemoryAdvice, plan } from '../src/memory/plan.js';
import { trainingSteps } from '../src/training/steps.js';
import { TINY, tinyData } from './support/tiny.js';

interface Allocator {
  readonly HEAPU8: Uint8Array;
  _malloc(bytes: number): number;
  _free(offset: number): void;
}

describe('the heap of wasm', () => {
  const data = tinyData();
  let model: LlamaForCausalLM;
  let optimizer: ReturnType<typeof recipe>;
  beforeAll(() => selectBackend('wasm'));
  afterEach(() => {
    model.dispose();
    optimizer.dispose();
  });

  async function steps(from: number, to: number): Promise<number[]> {
    const losses: number[] = [];
    for await (const { loss } of trainingSteps({ model, optimizer, data, steps: to, firstStep: from }))
      losses.push(loss);
    return losses;
  }

  test('being full ends a step with a typed error; nothing is overwritten, and with room again training goes on', async () => {
    const make = (): void => {
      model = new LlamaForCausalLM(TINY, { seed: 1 });
      optimizer = recipe('adamW', { learningRate: 0.003 });
    };
    make();
    const whole = await steps(0, 8);
    model.dispose();
    optimizer.dispose();
    make();
    const first = await steps(0, 4);
    const { wasm } = backend() as unknown as { wasm: Allocator };
    const held = fill(wasm);
    expect(wasm.HEAPU8.length).toBeGreaterThan(3.9 * 2 ** 30);
    const before = memory().numTensors;
    const failure: OutOfMemoryError = await steps(4, 8).then(
      () => expect.unreachable('there was room'),
      error => error,
    );
    expect(failure).toBeInstanceOf(OutOfMemoryError);
    expect(failure).toMatchObject({ code: 'out-of-memory', kind: 'wasm-heap' });
    expect(failure.message).toMatch(
      /^memory of the wasm backend: expected room for one more tensor, found a heap of 4,096 MiB that cannot grow by \d+ MiB\./,
    );
    // At most what the very operation that failed had kept for its gradient; tfjs tells nobody where that is.
    expect(memory().numTensors).toBeLessThanOrEqual(before + 1);
    for (const offset of held) wasm._free(offset);
    expect([...first, ...(await steps(4, 8))]).toEqual(whole);
  });

  /** Takes all there is, in pieces that get smaller; nothing touches the pages, so that the machine need not have them. */
  function fill(wasm: Allocator): number[] {
    const held: number[] = [];
    for (let bytes = 2 ** 30; bytes >= 4096; bytes /= 2) {
      try {
        for (;;) held.push(wasm._malloc(bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(OutOfMemoryError);
      }
    }
    return held;
  }
});

test('memory that the process does not get is typed', async () => {
  await selectBackend('cpu');
  const failure = explainFailure(thrownBy(() => zeros([2 ** 43])));
  expect(failure).toBeInstanceOf(OutOfMemoryError);
  expect(failure).toMatchObject({ kind: 'host', cause: expect.any(RangeError) });
});

test.each([
  [
    'native',
    'Error',
    'OOM when allocating tensor with shape[8192,32000] and type float on /device:GPU:0 by allocator GPU_0_bfc',
  ],
  ['native', 'Error', 'std::bad_alloc'],
  ['gpu', 'GPUOutOfMemoryError', 'Out of device memory'],
  ['gpu', 'OperationError', 'Buffer size (1572864000) exceeds the max buffer size limit (1073741824), maxBufferSize'],
  ['wasm-heap', 'RuntimeError', 'Aborted(Cannot enlarge memory arrays)'],
  ['wasm-heap', 'RangeError', 'WebAssembly.Memory.grow(): Maximum memory size exceeded, wasm memory could not grow'],
  ['host', 'RangeError', 'Array buffer allocation failed'],
])('memory of kind %s: %s: %s', (kind, name, message) => {
  const cause = Object.assign(new Error(message), { name });
  expect(explainFailure(cause)).toMatchObject({ code: 'out-of-memory', kind, cause });
});

test('a lost device is typed, and other errors stay what they are', () => {
  const lost = explainFailure(new Error('The device is lost because the driver was reset'));
  expect(lost).toBeInstanceOf(DeviceLostError);
  expect((lost as Error).message).toContain('start again from the last checkpoint');
  const others = [
    new TypeError('x is not a function'),
    new RangeError('Invalid array length: -1'),
    new NonFiniteGradientError({ parameter: 'g', found: 'NaN', expected: 'numbers' }),
    new WebAssembly.RuntimeError('unreachable'),
    'text',
  ];
  for (const other of others) expect(explainFailure(other)).toBe(other);
  expect(explainFailure(others[2])).toBeInstanceOf(FrugalError);
});

describe('the advice', () => {
  const model = { config: preset('350m'), batch: 1, length: 64 };
  const small = { ...model, config: preset('350m', { vocab_size: 257 }) };

  test('says what the run takes, and what less fits', () => {
    const optimizer = recipe('adamW');
    const lines = outOfMemoryAdvice(small, optimizer, { backend: 'wasm' });
    expect(lines[0]).toMatch(
      /^This run takes about [\d.]+ GiB: weights 1\.13 GiB, gradients 1\.13 GiB, optimizer state 2\.26 GiB, /,
    );
    expect(lines[1]).toMatch(
      /^What fits into 3\.50 GiB \(wasm's heap .*\): FRUGAL rows ρ=0\.375, [\d.]+ GiB in all, .* --optimizer frugal --projector rows --density 0\.375$/,
    );
  });

  test('never proposes what takes as much as what failed', () => {
    for (const density of [1, 0.5, 0.25, 0]) {
      const optimizer = density === 1 ? recipe('adamW') : recipe('frugal', { density });
      const { peakBytes } = memoryOf(model, optimizer);
      const [, proposal] = outOfMemoryAdvice(model, optimizer, { backend: 'cpu' });
      const { choice } = plan({ ...model, backend: 'cpu', budget: peakBytes - 1 });
      expect(choice!.memory.peakBytes).toBeLessThan(peakBytes);
      expect(proposal).toContain(choice!.label);
    }
  });

  test('where nothing fits says so, and what would have to give', () => {
    const lines = outOfMemoryAdvice({ ...model, config: preset('7b') }, recipe('signSgd'), { backend: 'wasm' });
    expect(lines[1]).toMatch(/^No optimizer makes it fit into 3\.50 GiB/);
    expect(lines.length).toBeGreaterThan(2);
  });
});

test('the gradients of a step that fails are freed', async () => {
  await selectBackend('cpu');
  const model = new LlamaForCausalLM(TINY, { seed: 1 });
  // The tables of positions are made once and stay.
  model.loss(tinyData().trainBatch(0)).dispose();
  const before = memory().numTensors;
  const failing = {
    applyGradients: () => {
      throw new Error('OOM when allocating tensor with shape[1]');
    },
  };
  const step = trainingSteps({ model, optimizer: failing, data: tinyData(), steps: 1 }).next();
  await expect(step).rejects.toMatchObject({ code: 'out-of-memory', kind: 'native' });
  expect(memory().numTensors).toBe(before);
  model.dispose();
});

function thrownBy(work: () => unknown): unknown {
  try {
    work();
  } catch (error) {
    return error;
  }
  return expect.unreachable('nothing was thrown');
}

test('an error is one class, whichever package it is caught with', async () => {
  const webgpu = await import('@frugaljs/backend-webgpu');
  const wasm = await import('@frugaljs/backend-wasm');
  expect(webgpu.DeviceLostError).toBe(core.DeviceLostError);
  expect(trainer.DeviceLostError).toBe(core.DeviceLostError);
  expect(webgpu.UnsupportedBackendError).toBe(core.UnsupportedBackendError);
  expect(wasm.UnsupportedBackendError).toBe(core.UnsupportedBackendError);
  expect(wasm.OutOfMemoryError).toBe(core.OutOfMemoryError);
  expect(trainer.OutOfMemoryError).toBe(core.OutOfMemoryError);
});

test('errors of the trainer carry the one that they explain', () => {
  const complaint = { parameter: 'loss', found: 'NaN', expected: 'a number' };
  const cause = new Error('why');
  expect(new trainer.DivergedError(complaint, cause)).toMatchObject({ code: 'diverged', cause });
  expect(new trainer.OutOfMemoryError('gpu', complaint, cause)).toMatchObject({ code: 'out-of-memory', cause });
});
