import { MissingGradientError } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import { expect, test } from 'vitest';
import { frugal } from '../src/index.js';

// Nothing in this file registers gradients.
test('a loss without registered gradients says what to import', async () => {
  await tf.setBackend('cpu');
  const w = tf.variable(tf.ones([2, 2]), true, 'w');
  const optimizer = frugal();
  const step = (): unknown => optimizer.minimize(() => tf.sum(tf.square(w)) as tf.Scalar);
  expect(step).toThrow(MissingGradientError);
  expect(step).toThrow(/gradient of the operation Sum: .*import '@tensorflow\/tfjs-layers'/);
  expect(optimizer.updates).toBe(0);
  const other = (): unknown =>
    optimizer.minimize(() => {
      throw new RangeError('of the loss');
    });
  expect(other).toThrow(RangeError);
  optimizer.dispose();
  w.dispose();
});
