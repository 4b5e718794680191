import { Checkpoints, MemoryStore } from '@frugaljs/checkpoint';
import { type ComposedOptimizer, recipe } from '@frugaljs/composer';
import { randomKey, randomUniform } from '@frugaljs/core';
import { LlamaForCausalLM, type TokenBatch } from '@frugaljs/llama';
import { memory, mul, type Scalar, tidy } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { selectBackend } from '../src/backend.js';
import { LossSpikeDetector } from '../src/durable/rollback.js';
import { type DurableOptions, trainDurably } from '../src/durable/train-durably.js';
import { trainingSteps } from '../src/training/steps.js';
import { TINY, tinyData } from './support/tiny.js';

beforeAll(() => selectBackend('wasm'));

const data = tinyData();
const STEPS = 60;

/** Batches that a run has used, in order, and a loss that some of them multiply. */
function run(
  options: Partial<DurableOptions<TokenBatch>> & {
    readonly poison?: (batch: number, uses: number) => number;
    readonly batchOf?: (index: number) => number;
    readonly nonFinite?: 'skip';
  },
) {
  const { poison = () => 1, batchOf = index => index, nonFinite, ...rest } = options;
  const model = new LlamaForCausalLM(TINY, { seed: 5 });
  const optimizer: ComposedOptimizer = recipe('frugal', {
    ...{ learningRate: 0.003, density: 0.5, updateGap: 7, seed: 2 },
    ...(nonFinite === undefined ? {} : { onNonFinite: nonFinite }),
  });
  const used: number[] = [];
  const notices: string[] = [];
  const checkpoints = options.checkpoints ?? new Checkpoints({ store: new MemoryStore(), keepLast: 20 });
  const lossOf = (batch: TokenBatch): Scalar => {
    const index = used.at(-1)!;
    // Evaluation calls come between two training batches; they have the shape of one, but not its array.
    const factor = batch === current ? poison(index, used.filter(each => each === index).length) : 1;
    return tidy(() => mul(model.loss(batch), factor));
  };
  let current: TokenBatch | null = null;
  const durable: DurableOptions<TokenBatch> = {
    ...{ steps: STEPS, saveEvery: 10, optimizer, checkpoints, validationBatches: 1 },
    model: { parameters: () => model.parameters(), loss: lossOf },
    data: {
      trainBatch: index => {
        used.push(batchOf(index));
        current = data.trainBatch(batchOf(index));
        return current;
      },
      validationBatches: count => data.validationBatches(count),
    },
    onNotice: line => notices.push(line),
    ...rest,
  };
  const bits = async () => {
    const state = await optimizer.getWeights();
    const all = [...Object.entries(model.parameters()), ...state.map(({ name, tensor }) => [name, tensor] as const)];
    return all.map(([name, tensor]) => `${name} ${Buffer.from(tensor.dataSync().slice().buffer).toString('base64')}`);
  };
  const dispose = (): void => {
    optimizer.dispose();
    model.dispose();
  };
  return { durable, used, notices, checkpoints, bits, dispose };
}

async function finished(options: Parameters<typeof run>[0]) {
  const made = run(options);
  const result = await trainDurably(made.durable);
  const bits = await made.bits();
  made.dispose();
  return { ...made, result, bits };
}

describe('a run whose loss explodes', () => {
  test.each([
    ['a factor of 30', 30],
    ['NaN', Number.NaN],
    ['Infinity', Number.POSITIVE_INFINITY],
  ])('by %s goes back and goes on as if the batches since had never been', async (_, factor) => {
    const before = memory().numTensors;
    const { result, used, notices, bits } = await finished({
      rollback: {},
      poison: batch => (batch === 33 ? factor : 1),
    });
    expect(memory().numTensors).toBe(before);
    const [rollback, ...more] = result.rollbacks;
    expect(more).toEqual([]);
    expect(rollback).toMatchObject({ fromStep: 34 });
    // A save may be skipped while the one before it is being written.
    const { toStep, skippedBatches } = rollback!;
    expect([0, 10, 20, 30]).toContain(toStep);
    expect(skippedBatches).toEqual([toStep, 34]);
    expect(notices.filter(line => line.includes('went wrong'))).toEqual([
      expect.stringMatching(
        new RegExp(
          `^Step 34 went wrong: .*\\. Back to step ${toStep} \\(step-0000\\d0\\), leaving out batches ${toStep} to 33; rollback 1 of 3\\.$`,
        ),
      ),
    ]);
    expect(result.losses).toHaveLength(STEPS);
    expect(result.losses.every(Number.isFinite)).toBe(true);
    expect(used.filter(batch => batch === 33)).toHaveLength(1);
    expect(used.at(-1)).toBe(STEPS + 34 - toStep - 1);

    const clean = await finished({ batchOf: index => (index < toStep ? index : index + 34 - toStep) });
    expect(result.losses).toEqual(clean.result.losses);
    expect(result.validationLoss).toBe(clean.result.validationLoss);
    expect(bits).toEqual(clean.bits);
  });

  test('before the first checkpoint goes back to the start', async () => {
    const { result } = await finished({ rollback: {}, poison: batch => (batch === 2 ? Number.NaN : 1) });
    expect(result.rollbacks).toMatchObject([{ fromStep: 3, toStep: 0, skippedBatches: [0, 3] }]);
  });

  test('again and again is given up after the limit, one checkpoint further back each time', async () => {
    // Weights that were saved broken: whatever batch comes after step 40, it goes wrong.
    const { durable, notices, dispose } = run({
      rollback: { limit: 2 },
      poison: batch => (batch >= 41 ? Number.NaN : 1),
    });
    await expect(trainDurably(durable)).rejects.toMatchObject({
      code: 'diverged',
      message: expect.stringMatching(
        /^training: expected a run that goes on after at most 2, found step \d+ \(NaN or Inf in the gradient of ".*"\) after 2 rollbacks\. Resume/,
      ),
    });
    const back = notices.flatMap(line => /Back to step (\d+)/.exec(line)?.[1] ?? []).map(Number);
    expect(back).toHaveLength(2);
    expect(back[1]).toBeLessThan(back[0]!);
    dispose();
  });

  test('and is continued by another process leaves out the same batches', async () => {
    const whole = await finished({ rollback: {}, poison: batch => (batch === 33 ? Number.NaN : 1) });
    const stop = new AbortController();
    const store = new MemoryStore();
    const checkpoints = new Checkpoints({ store, keepLast: 20 });
    const first = await finished({
      ...{ rollback: {}, checkpoints, signal: stop.signal },
      poison: batch => (batch === 33 ? Number.NaN : 1),
      onRollback: () => stop.abort(),
    });
    expect(first.result.interrupted).toBe(true);
    const resume = await checkpoints.latest();
    const second = await finished({ rollback: {}, checkpoints, resume });
    expect(second.used).not.toContain(33);
    expect(second.result.rollbacks).toEqual(first.result.rollbacks);
    // The place it went back to depends on which saves were done by then.
    if (first.result.rollbacks[0]!.toStep === whole.result.rollbacks[0]!.toStep) {
      expect(second.result.losses).toEqual(whole.result.losses);
      expect(second.bits).toEqual(whole.bits);
    }
  });

  test('without the option ends with the error of the gradient', async () => {
    const { durable, dispose } = run({ poison: batch => (batch === 5 ? Number.NaN : 1) });
    await expect(trainDurably(durable)).rejects.toMatchObject({ code: 'non-finite-gradient' });
    dispose();
  });

  test('under the policy skip leaves single updates out, and ends when there is nothing else', async () => {
    const some = await finished({ nonFinite: 'skip', poison: batch => (batch % 10 === 3 ? Number.NaN : 1) });
    expect(some.result.losses.filter(Number.isNaN)).toHaveLength(6);
    expect(Number.isFinite(some.result.validationLoss)).toBe(true);

    const all = run({ nonFinite: 'skip', steps: 150, poison: batch => (batch >= 4 ? Number.NaN : 1) });
    await expect(trainDurably(all.durable)).rejects.toMatchObject({
      code: 'diverged',
      message: expect.stringContaining('NaN or Inf in 100 steps in a row'),
    });
    all.dispose();
  });
});

test('a rollback without checkpoints is an error', async () => {
  const { durable, dispose } = run({ rollback: {}, saves: 'never' });
  await expect(trainDurably(durable)).rejects.toThrow('train.rollback: expected checkpoints on the way');
  dispose();
});

test('steps can start at any batch', async () => {
  const { durable, used, dispose } = run({});
  const { model, optimizer, data: batches } = durable;
  const { checkpoints: _, ...plain } = { ...durable, model, optimizer, data: batches };
  for await (const { step } of trainingSteps({ ...plain, steps: 12, firstStep: 9, firstBatch: 40 })) {
    expect(used.at(-1)).toBe(40 + step - 10);
  }
  expect(used).toEqual([40, 41, 42]);
  dispose();
});

describe('the detector', () => {
  const key = randomKey(1, 'losses');
  const noisy = (count: number, slope: number): number[] =>
    Array.from({ length: count }, (_, i) => 5 * Math.exp(-slope * i) + 2 + 0.3 * (randomUniform(key, i) - 0.5));

  test('lets losses fall and waver', () => {
    for (const slope of [0, 0.001, 0.01, 0.1]) {
      const detector = new LossSpikeDetector(6);
      expect(noisy(2000, slope).filter(loss => detector.isSpike(loss))).toEqual([]);
    }
  });

  test('tells a jump from wavering, and is not blinded by it', () => {
    const detector = new LossSpikeDetector(6, noisy(200, 0));
    expect(detector.limit).toBeGreaterThan(7.2);
    expect(detector.limit).toBeLessThan(8);
    const limit = detector.limit;
    for (let i = 0; i < 50; i++) expect(detector.isSpike(9)).toBe(true);
    expect(detector.limit).toBe(limit);
    for (const loss of [Number.NaN, Number.POSITIVE_INFINITY]) expect(detector.isSpike(loss)).toBe(true);
    expect(detector.isSpike(7)).toBe(false);
  });

  test('finds no spike before it knows what is usual, and believes in no deviation of zero', () => {
    const detector = new LossSpikeDetector(6);
    expect(detector.isSpike(1)).toBe(false);
    expect(detector.isSpike(1000)).toBe(false);
    const constant = new LossSpikeDetector(
      6,
      Array.from({ length: 100 }, () => 3),
    );
    expect(constant.isSpike(3.1)).toBe(false);
    expect(constant.isSpike(3.3)).toBe(true);
    expect(() => new LossSpikeDetector(0)).toThrow('rollback.deviations: expected a number in (0, Infinity), found 0');
  });
});
