import '@frugaljs/backend-wasm';
import { compose } from '@frugaljs/composer';
import { adamW } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { RecentKernels } from '../src/fused/kernel-cache.js';

test('the kernel that was least recently asked for is forgotten first', () => {
  const kernels = new RecentKernels<string>(2);
  const made: string[] = [];
  const ask = (text: string): string => kernels.of(text, () => made[made.push(text) - 1]!);
  for (const text of ['a', 'b', 'a', 'c', 'a', 'b']) expect(ask(text)).toBe(text);
  expect(made).toEqual(['a', 'b', 'c', 'b']);
  expect(kernels.size).toBe(2);
});

test('an optimizer goes on when its kernel has been forgotten', async () => {
  await tf.setBackend('wasm');
  const start = (name: string): tf.Variable => tf.variable(tf.ones([8]), true, name);
  const step = (optimizer: ReturnType<typeof compose>, w: tf.Variable): void => {
    const g = tf.fill([8], 0.5);
    optimizer.applyGradients({ [w.name]: g });
    g.dispose();
  };
  const early = start('early');
  const live = compose({ learningRate: 0.1, groups: [{ use: adamW() }] });
  step(live, early);
  for (let i = 0; i < 300; i++) {
    const w = start('w');
    const other = compose({ learningRate: 0.1, groups: [{ use: adamW({ epsilon: 1e-8 * (i + 2) }) }] });
    step(other, w);
    other.dispose();
    w.dispose();
  }
  step(live, early);
  for (const value of early.dataSync()) expect(value).toBeCloseTo(0.8, 5);
  live.dispose();
  early.dispose();
});
