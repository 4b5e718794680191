import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import { randomKey, randomNormals } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { frugal } from '../src/recipes/index.js';
import { BACKENDS } from './fixtures.js';

const CASES = BACKENDS.flatMap(backend => [1e-44, 1e-36, 1e-33, 1e18].map(scale => ({ backend, scale })));

test.each(CASES)('frugal by svd moves by finite steps on gradients of $scale of rank 1, $backend', async where => {
  await tf.setBackend(where.backend);
  const w = tf.variable(tf.zeros([64, 64]), true, 'w');
  const optimizer = frugal({ learningRate: 0.1, projector: 'svd' });
  const g = tf.tidy(() => {
    const [u, v] = [1, 2].map(nth => tf.tensor(randomNormals(randomKey(nth), 64)));
    return tf.mul(tf.outerProduct(u as tf.Tensor1D, v as tf.Tensor1D), where.scale);
  });
  for (let step = 0; step < 2; step++) optimizer.applyGradients({ w: g });
  const values = w.dataSync();
  expect(values.every(Number.isFinite)).toBe(true);
  expect(values.some(value => value !== 0)).toBe(true);
  optimizer.dispose();
  tf.dispose([w, g]);
});
