import { compose, residual, subspace } from '@frugaljs/composer';
import { NonFiniteGradientError, randomKey, randomNormals, warmupCosine } from '@frugaljs/core';
import { columns, svd } from '@frugaljs/projectors';
import { sgd, signSgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, expect, test } from 'vitest';
import { worstError } from '../../../tools/test-support/closeness.js';
import { describeOnDevice } from './device.js';

const SHAPES = { a: [5, 7], b: [6] } as const;
type Name = keyof typeof SHAPES;
const NAMES = Object.keys(SHAPES) as Name[];

/** Whole parameters, coordinates and dense subspaces, each with state inside. */
const RULES = {
  adamW: () => adamW(),
  columns: () =>
    subspace({
      projector: columns({ density: 0.4 }),
      rule: adamW(),
      combine: residual(signSgd()),
      refresh: { every: 50 },
    }),
  svd: () =>
    subspace({ projector: svd({ density: 0.4 }), rule: adamW(), combine: residual(sgd()), refresh: { every: 50 } }),
};

/** The same with subspaces that change on the way. */
const MOVING = {
  'columns, reset': () => subspace({ projector: columns({ density: 0.4 }), rule: adamW(), refresh: { every: 3 } }),
  'columns, transport': () =>
    subspace({
      projector: columns({ density: 0.4 }),
      rule: adamW(),
      combine: residual(sgd()),
      refresh: { every: 3 },
      onRefresh: 'transport',
    }),
  'svd, reset': () => subspace({ projector: svd({ density: 0.4 }), rule: adamW(), refresh: { every: 3 } }),
  'svd, transport': () =>
    subspace({
      projector: svd({ density: 0.4 }),
      rule: adamW(),
      combine: residual(sgd()),
      refresh: { every: 3 },
      onRefresh: 'transport',
    }),
};

const LATER_CASES = (['adamW', ...Object.keys(MOVING)] as ('adamW' | keyof typeof MOVING)[]).flatMap(rule =>
  (['auto', 'reference'] as const).map(kernels => ({ rule, kernels })),
);

const CASES = (Object.keys(RULES) as (keyof typeof RULES)[]).flatMap(rule =>
  (['auto', 'reference'] as const).map(kernels => ({ rule, kernels })),
);

function setUp(
  rule: keyof typeof RULES | keyof typeof MOVING,
  kernels: 'auto' | 'reference',
  more: Partial<Parameters<typeof compose>[0]>,
): {
  optimizer: ReturnType<typeof compose>;
  step(t: number, bad?: { readonly name: Name; readonly value: number }): void;
  values(): Promise<Float32Array>;
  dispose(): void;
} {
  const variables = NAMES.map((name, i) => {
    const [shape, key] = [[...SHAPES[name]], randomKey(3, i)];
    return tf.tidy(() => tf.variable(tf.tensor(randomNormals(key, tf.util.sizeFromShape(shape)), shape), true, name));
  });
  const groups = [{ match: { minRank: 2 }, use: { ...RULES, ...MOVING }[rule](), weightDecay: 0.1 }, { use: adamW() }];
  const optimizer = compose({ learningRate: 0.05, groups, kernels, ...more });
  return {
    optimizer,
    step: (t, bad) => {
      const gradients = Object.fromEntries(
        variables.map((variable, i) => {
          const g = randomNormals(randomKey(4, t, i), variable.size);
          if (bad?.name === variable.name) g[g.length - 1] = bad.value;
          return [variable.name, tf.tensor(g, variable.shape)];
        }),
      );
      optimizer.applyGradients(gradients);
      tf.dispose(gradients);
    },
    values: async () => {
      const all = await Promise.all(variables.map(variable => variable.data<'float32'>()));
      return Float32Array.from(all.flatMap(values => [...values]));
    },
    dispose: () => {
      optimizer.dispose();
      tf.dispose(variables);
    },
  };
}

function messageOf(call: () => void): string {
  try {
    call();
    return '';
  } catch (error) {
    return String(error);
  }
}

async function stateOf(optimizer: ReturnType<typeof compose>): Promise<Float32Array> {
  const weights = (await optimizer.getWeights()).filter(({ tensor }) => tensor.dtype === 'float32');
  expect(weights.length).toBeGreaterThan(2);
  const all = await Promise.all(weights.map(({ tensor }) => tensor.data<'float32'>()));
  return Float32Array.from(all.flatMap(values => [...values]));
}

// Also when a test has failed.
afterEach(() => tf.disposeVariables());

describeOnDevice('gradients that are not finite', () => {
  test.each(CASES)('skip: $rule, $kernels: parameters and state stay as they were', async ({ rule, kernels }) => {
    const before = tf.memory().numTensors;
    const run = setUp(rule, kernels, { onNonFinite: 'skip' });
    run.step(0);
    const [values, state] = [await run.values(), await stateOf(run.optimizer)];
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
      run.step(1, { name: 'a', value });
    }
    run.step(1, { name: 'b', value: Number.NaN });
    expect(await run.values()).toEqual(values);
    expect(await stateOf(run.optimizer)).toEqual(state);
    await run.optimizer.settled();
    expect(run.optimizer.skippedUpdates).toBe(4);
    run.step(2);
    expect(await run.values()).not.toEqual(values);
    await run.optimizer.settled();
    expect(run.optimizer.skippedUpdates).toBe(4);
    run.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });

  test.each(CASES)('throw: $rule, $kernels: nothing moves until the error was thrown', async ({ rule, kernels }) => {
    const run = setUp(rule, kernels, {});
    run.step(0);
    const values = await run.values();
    run.step(1, { name: 'b', value: Number.NaN });
    // The host does not know yet, the device does.
    run.step(2);
    expect(await run.values()).toEqual(values);
    await expect(run.optimizer.settled()).rejects.toThrow(NonFiniteGradientError);
    expect(await run.values()).toEqual(values);
    run.step(3);
    await run.optimizer.settled();
    expect(await run.values()).not.toEqual(values);

    const then = await run.values();
    run.step(4, { name: 'a', value: Number.POSITIVE_INFINITY });
    // Without settled(), the call after the result of the check has arrived throws, and names the variable.
    await expect.poll(() => messageOf(() => run.step(5)), { timeout: 20_000 }).toMatch(/gradient of "a"/);
    expect(await run.values()).toEqual(then);
    expect(run.optimizer.skippedUpdates).toBe(0);
    run.dispose();
  });

  test.each(CASES)('ignore: $rule, $kernels: they go where they lead', async ({ rule, kernels }) => {
    const run = setUp(rule, kernels, { onNonFinite: 'ignore' });
    run.step(0, { name: 'b', value: Number.NaN });
    expect((await run.values()).some(Number.isNaN)).toBe(true);
    await run.optimizer.settled();
    run.dispose();
  });

  const CLIPS = [{ value: 1 }, { globalNorm: 1 }, { value: 1, globalNorm: 1 }];
  const CLIPPED_CASES = (['auto', 'reference'] as const).flatMap(kernels =>
    CLIPS.flatMap(clip => [1, 2].map(accumulate => ({ kernels, clip, accumulate, clips: Object.keys(clip).join() }))),
  );

  test.each(CLIPPED_CASES)(
    'clipped by $clips, $kernels, accumulated over $accumulate: the policy holds for gradients as they came',
    async ({ kernels, clip, accumulate }) => {
      for (const onNonFinite of ['skip', 'throw'] as const) {
        const run = setUp('adamW', kernels, { onNonFinite, clip, accumulate });
        const values = await run.values();
        for (const value of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
          for (const name of NAMES) {
            run.step(1, { name, value });
            if (onNonFinite === 'skip') await run.optimizer.settled();
            else await expect(run.optimizer.settled()).rejects.toThrow(`gradient of "${name}"`);
          }
        }
        expect(await run.values()).toEqual(values);
        expect(run.optimizer.updates).toBe(0);
        for (let round = 0; round < accumulate; round++) run.step(2);
        await run.optimizer.settled();
        expect(await run.values()).not.toEqual(values);
        run.dispose();
      }
    },
  );

  // The first update, a refresh, the update after it, two in a row, and the last.
  const BAD = [0, 3, 5, 6, 9];
  const SCHEDULE = warmupCosine({ peak: 0.05, warmup: 3, total: 8, floor: 0.1 });

  test.each(LATER_CASES)(
    'skip: $rule, $kernels: an update left out is none, as on the host',
    async ({ rule, kernels }) => {
      const trajectory = async (of: 'auto' | 'reference'): Promise<[number[], Float32Array]> => {
        const before = tf.memory().numTensors;
        const run = setUp(rule, of, { onNonFinite: 'skip', learningRate: SCHEDULE });
        const counts: number[] = [];
        for (let t = 0; t < 10; t++) {
          run.step(t, BAD.includes(t) ? { name: t % 2 === 0 ? 'b' : 'a', value: Number.NaN } : undefined);
          await run.optimizer.settled();
          counts.push(run.optimizer.updates);
        }
        expect(run.optimizer.skippedUpdates).toBe(BAD.length);
        const counters = (await run.optimizer.getWeights()).filter(({ tensor }) => tensor.dtype === 'int32');
        for (const { name, tensor } of counters) {
          if (/::(updates|.*\bt|.*\bepoch|.*\bages)$/.test(name)) counts.push(...(await tensor.data()));
        }
        const values = await run.values();
        run.dispose();
        expect(tf.memory().numTensors).toBe(before);
        return [counts, values];
      };
      const [counts, found] = await trajectory(kernels);
      await tf.setBackend('cpu');
      const [expectedCounts, expected] = await trajectory('reference').finally(() => tf.setBackend('webgpu'));
      expect(counts).toEqual(expectedCounts);
      expect(worstError(found, expected)).toBeLessThan(rule.startsWith('svd') ? 1e-4 : 1e-6);
    },
  );

  test('skip: what the host learns late is put right, and what began anew since stays', async () => {
    const run = setUp('columns, reset', 'auto', { onNonFinite: 'skip', learningRate: SCHEDULE });
    for (let t = 0; t < 8; t++) run.step(t, t === 1 || t === 4 ? { name: 'a', value: Number.NaN } : undefined);
    await run.optimizer.settled();
    expect(run.optimizer.updates).toBe(6);
    const counter = async (name: string): Promise<number> => {
      const found = (await run.optimizer.getWeights()).find(each => each.name === name);
      return (await found!.tensor.data())[0]!;
    };
    // The subspace of `a` changed with the updates 3 and 6, before anything was known: its rule began anew at 6.
    expect(await counter('a::rule/t')).toBe(2);
    expect(await counter('b::t')).toBe(6);
    // No subspace is chosen twice for the updates that are made up for.
    run.step(8);
    await run.optimizer.settled();
    expect(await counter('a::rule/t')).toBe(3);
    run.dispose();
  });

  test('throw: updates that came to nothing do not count', async () => {
    const run = setUp('adamW', 'auto', { learningRate: SCHEDULE });
    run.step(0);
    run.step(1, { name: 'b', value: Number.NaN });
    run.step(2);
    await expect(run.optimizer.settled()).rejects.toThrow(NonFiniteGradientError);
    expect(run.optimizer.updates).toBe(1);
    expect(run.optimizer.learningRate).toBe(SCHEDULE.at(1));
    run.step(3);
    await run.optimizer.settled();
    expect(run.optimizer.updates).toBe(2);
    run.dispose();
  });

  test.each(['auto', 'reference'] as const)(
    '%s: a refresh that is left out keeps the subspace before',
    async kernels => {
      const run = setUp('svd, reset', kernels, { onNonFinite: 'skip' });
      const basisOf = async (): Promise<Float32Array> => {
        const weights = await run.optimizer.getWeights();
        return weights.find(({ name }) => name.startsWith('a::basis/'))!.tensor.data<'float32'>();
      };
      for (let t = 0; t < 3; t++) run.step(t);
      const basis = (await basisOf()).slice();
      run.step(3, { name: 'a', value: Number.NaN });
      expect(await basisOf()).toEqual(basis);
      // Saved and loaded, the refresh is still due.
      const saved = (await run.optimizer.getWeights()).map(({ name, tensor }) => ({ name, tensor: tensor.clone() }));
      await run.optimizer.setWeights(saved);
      tf.dispose(saved.map(({ tensor }) => tensor));
      run.step(4);
      expect(await basisOf()).not.toEqual(basis);
      run.dispose();
    },
  );

  // None that would have been the last of its update: on a device that is made before the result of the check can be known.
  const BAD_ROUNDS = [0, 3, 4, 9];

  test.each(['auto', 'reference'] as const)('accumulated, %s: rounds are left out, as on the host', async kernels => {
    const trajectory = async (of: 'auto' | 'reference'): Promise<[number[], Float32Array]> => {
      const before = tf.memory().numTensors;
      const run = setUp('adamW', of, { onNonFinite: 'skip', accumulate: 2, learningRate: SCHEDULE });
      const counts: number[] = [];
      for (let t = 0; t < 12; t++) {
        run.step(t, BAD_ROUNDS.includes(t) ? { name: 'a', value: Number.NaN } : undefined);
        await run.optimizer.settled();
        counts.push(run.optimizer.updates, run.optimizer.skippedUpdates);
      }
      const own = (await run.optimizer.getWeights()).find(({ name }) => name === '::accumulated')!;
      counts.push(...(await own.tensor.data()));
      const values = await run.values();
      run.dispose();
      expect(tf.memory().numTensors).toBe(before);
      return [counts, values];
    };
    const [counts, found] = await trajectory(kernels);
    await tf.setBackend('cpu');
    const [expectedCounts, expected] = await trajectory('reference').finally(() => tf.setBackend('webgpu'));
    expect(counts).toEqual(expectedCounts);
    expect(worstError(found, expected)).toBeLessThan(1e-6);
  });

  test.each(['auto', 'reference'] as const)(
    'accumulated, %s: known too late, the mean is that of the others',
    async kernels => {
      const run = setUp('adamW', kernels, { onNonFinite: 'skip', accumulate: 3 });
      // Nothing waits: the mean is taken after three rounds, of which two are good; then all three are bad.
      for (let t = 0; t < 6; t++)
        run.step(t, t === 0 || t > 2 ? { name: 'b', value: Number.POSITIVE_INFINITY } : undefined);
      const found = await run.values();
      await run.optimizer.settled();
      expect(run.optimizer.skippedUpdates).toBe(4);
      expect(run.optimizer.updates).toBe(1);
      run.dispose();

      const others = setUp('adamW', kernels, { accumulate: 2 });
      others.step(1);
      others.step(2);
      expect(worstError(found, await others.values())).toBeLessThan(1e-6);
      others.dispose();
    },
  );

  test('accumulated: saved and loaded between rounds, the mean is that of the good ones', async () => {
    const values: Float32Array[] = [];
    for (const isLoaded of [false, true]) {
      const run = setUp('adamW', 'auto', { onNonFinite: 'skip', accumulate: 3 });
      run.step(0);
      run.step(1, { name: 'a', value: Number.NaN });
      await run.optimizer.settled();
      if (isLoaded) {
        const saved = (await run.optimizer.getWeights()).map(({ name, tensor }) => ({ name, tensor: tensor.clone() }));
        await run.optimizer.setWeights(saved);
        tf.dispose(saved.map(({ tensor }) => tensor));
      }
      run.step(2);
      expect(run.optimizer.updates).toBe(0);
      run.step(3);
      await run.optimizer.settled();
      expect(run.optimizer.updates).toBe(1);
      values.push(await run.values());
      run.dispose();
    }
    expect(values[1]).toEqual(values[0]);
  });

  test('the count is part of what getWeights returns', async () => {
    const run = setUp('adamW', 'auto', { onNonFinite: 'skip' });
    run.step(0, { name: 'a', value: Number.NaN });
    const weights = await run.optimizer.getWeights();
    const skipped = weights.find(({ name }) => name === '::skipped')!;
    expect(Array.from(await skipped.tensor.data())).toEqual([1]);
    run.dispose();
  });
});

describeOnDevice('clipping', () => {
  test.each(CASES)('$rule, $kernels: as with gradients clipped on the host', async ({ rule, kernels }) => {
    for (const clip of [{ globalNorm: 0.7 }, { globalNorm: 100 }, { value: 0.5, globalNorm: 2 }, { value: 0.5 }]) {
      const onDevice = setUp(rule, kernels, { clip });
      for (let t = 0; t < 3; t++) onDevice.step(t);
      const found = await onDevice.values();
      onDevice.dispose();

      await tf.setBackend('cpu');
      const onHost = setUp(rule, 'reference', { clip });
      for (let t = 0; t < 3; t++) onHost.step(t);
      const expected = await onHost.values();
      onHost.dispose();
      await tf.setBackend('webgpu');
      expect(worstError(found, expected)).toBeLessThan(rule === 'svd' ? 1e-4 : 1e-6);
    }
  });
});
