import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import { sgd } from '@frugaljs/state-free';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { compose } from '../src/index.js';
import { BACKENDS } from './fixtures.js';

describe.each(BACKENDS)('the norm of gradients on %s', backend => {
  describe.each(['auto', 'reference'] as const)('with kernels %s', kernels => {
    test.each([
      ['as it is', 1, {}],
      ['where squares underflow and nothing is clipped', 1e-30, {}],
      ['where squares overflow', 2e19, {}],
      ['where squares overflow far', 8e37, {}],
      ['where squares overflow and entries are clipped, too', 8e37, { value: 4e37 }],
    ])('%s', async (_, scale, clip: { value?: number }) => {
      await tf.setBackend(backend);
      const w = tf.variable(tf.zeros([2]), true, 'w');
      const b = tf.variable(tf.scalar(0), true, 'b');
      const tensors = tf.memory().numTensors;
      const optimizer = compose({
        learningRate: 1,
        groups: [{ use: sgd() }],
        clip: { globalNorm: 0.5, ...clip },
        kernels,
        onNonFinite: 'ignore',
      });
      const gradients = { w: tf.tensor1d([-2 * scale, scale]), b: tf.scalar(2 * scale) };
      optimizer.applyGradients(gradients);
      tf.dispose(gradients);
      const largest = Math.min(2 * scale, clip.value ?? Number.POSITIVE_INFINITY);
      const entries = [-largest, Math.min(scale, largest), largest];
      const norm = Math.hypot(...entries);
      const expected = entries.map(entry => -entry * Math.min(1, 0.5 / norm));
      const found = [...w.dataSync(), ...b.dataSync()];
      found.forEach((value, i) => {
        expect(Math.abs(value / expected[i]! - 1)).toBeLessThan(1e-5);
      });
      optimizer.dispose();
      expect(tf.memory().numTensors).toBe(tensors);
      tf.dispose([w, b]);
    });
  });
});
