import '@tensorflow/tfjs-backend-cpu';
import * as tf from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import { describe, expect, test } from 'vitest';
import {
  differenceOf,
  LAYER_CASES,
  trainLayer,
  UNTRAINABLE,
  WRONG_ON_CPU,
} from '../../../tools/test-support/layer-table.js';
import { ReadmeTables } from '../../../tools/test-support/readme-tables.js';
import { missing, useTensorFlow } from './tensorflow.js';

describe.skipIf(missing !== null)('layers of tf.layers', () => {
  const rows = new ReadmeTables(new URL('../../backend-wasm/README.md', import.meta.url)).titled('layer', 'cpu');

  test.each(Object.keys(LAYER_CASES))('%s does what the table says', async name => {
    const cell = rows.find(([layer]) => layer === name)![4]!;
    if (name in UNTRAINABLE) {
      expect(cell).toBe(UNTRAINABLE[name]!.why);
      await useTensorFlow();
      await expect(trainLayer(name)).rejects.toThrow(UNTRAINABLE[name]!.error);
      return;
    }
    await tf.setBackend('cpu');
    const expected = await trainLayer(name);
    expect(expected.changed).toBe(true);
    await useTensorFlow();
    const outcome = await trainLayer(name).then(
      found => differenceOf(found, expected) ?? 'trains',
      (error: Error) => error.message,
    );
    if (name in WRONG_ON_CPU) {
      expect(cell).toBe(WRONG_ON_CPU[name]);
      expect(outcome).toMatch(/^differs from cpu by/);
    } else if (cell === 'trains') expect(outcome).toBe('trains');
    else expect(outcome).toContain(/^no: (.+)$/.exec(cell)![1]);
  });

  // Both layers are linear, so that their gradient is their adjoint: ⟨f(x), dy⟩ = ⟨x, df(dy)⟩.
  test.each([
    ['averagePooling2d with padding same', layers.averagePooling2d({ poolSize: 3, strides: 2, padding: 'same' })],
    ['upSampling2d on a batch', layers.upSampling2d({ size: [2, 3] })],
  ])('the gradient of %s is right on tensorflow, and not on cpu', async (_, layer) => {
    const mismatch = (): number =>
      tf.tidy(() => {
        const x = tf.randomNormal([3, 6, 6, 2], 0, 1, 'float32', 1);
        const f = (input: tf.Tensor): tf.Tensor => layer.apply(input) as tf.Tensor;
        const y = f(x);
        const dy = tf.randomNormal(y.shape, 0, 1, 'float32', 2);
        const inner = (a: tf.Tensor, b: tf.Tensor): number => tf.sum(tf.mul(a, b)).dataSync()[0]!;
        return Math.abs(inner(y, dy) - inner(x, tf.grad(f)(x, dy)));
      });
    await useTensorFlow();
    expect(mismatch()).toBeLessThan(1e-4);
    await tf.setBackend('cpu');
    expect(mismatch()).toBeGreaterThan(0.01);
  });
});
