import { compose, residual, subspace } from '@frugaljs/composer';
import { columns, randK, rows } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, expect, test } from 'vitest';
import { describeOnDevice } from './device.js';

const split = (projector: ReturnType<typeof rows>) =>
  subspace({ projector, rule: adamW(), combine: residual(signSgd()), refresh: { every: 100 } });

const RULES = {
  signSgd: () => signSgd(),
  adamW: () => adamW(),
  rows: () => split(rows({ density: 0.5 })),
  columns: () => split(columns({ density: 0.5 })),
  randK: () => split(randK({ density: 0.5 })),
};

afterEach(() => tf.disposeVariables());

describeOnDevice('writing in place', () => {
  test.each(Object.keys(RULES) as (keyof typeof RULES)[])('%s: only where nobody else holds the buffer', async name => {
    const w = tf.tidy(() => tf.variable(tf.ones([6, 8]), true, 'w'));
    const optimizer = compose({ learningRate: 0.5, groups: [{ use: RULES[name]() }] });
    const g = { w: tf.ones([6, 8]) };
    const held = w.clone();
    optimizer.applyGradients(g);
    expect(await held.data()).toEqual(new Float32Array(48).fill(1));
    const place = w.dataId;
    expect(place).not.toBe(held.dataId);
    held.dispose();
    optimizer.applyGradients(g);
    expect(w.dataId).toBe(place);
    // A product made before the step saw the old weights, one made after it sees the new ones.
    const x = tf.ones([2, 6]) as tf.Tensor2D;
    const before = tf.matMul(x, w as unknown as tf.Tensor2D);
    optimizer.applyGradients(g);
    const after = tf.matMul(x, w as unknown as tf.Tensor2D);
    const [old, current] = [(await before.data())[0]!, (await after.data())[0]!];
    expect(old - current).toBeCloseTo(6 * 0.5, 3);
    expect(Array.from(await g.w.data())).toEqual(new Array(48).fill(1));
    optimizer.dispose();
    tf.dispose([x, before, after, g]);
  });

  test('nothing is allocated after the first steps', async () => {
    const before = tf.memory().numTensors;
    tf.tidy(() => tf.variable(tf.ones([6, 8]), true, 'w'));
    const optimizer = compose({ learningRate: 0.5, groups: [{ use: RULES.columns() }], clip: { globalNorm: 1 } });
    const g = { w: tf.ones([6, 8]) };
    const counts: unknown[] = [];
    for (let i = 0; i < 6; i++) {
      optimizer.applyGradients(g);
      await optimizer.settled();
      const { numTensors, numBytes, numBytesAllocatedInGPU } = tf.memory() as tf.MemoryInfo & {
        numBytesAllocatedInGPU: number;
      };
      counts.push([numTensors, numBytes, numBytesAllocatedInGPU]);
    }
    expect(counts[5]).toEqual(counts[2]);
    optimizer.dispose();
    tf.disposeVariables();
    g.w.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
