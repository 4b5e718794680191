import '@frugaljs/backend-wasm';
import { sgd } from '@frugaljs/state-free';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { compose } from '../src/index.js';
import { BACKENDS, regression } from './fixtures.js';

const OPTIONS = { learningRate: 0.01, groups: [{ use: sgd() }] } as const;

test.each(BACKENDS)('a loss that throws, or is none, leaves no tensor behind, %s', async backend => {
  await tf.setBackend(backend);
  const problem = regression();
  const optimizer = compose(OPTIONS);
  const losses: Record<string, () => tf.Scalar> = {
    'threw late': () => {
      problem.loss();
      throw new Error('threw late');
    },
    'expected a scalar tensor, found 1. Return the loss': () => {
      problem.loss();
      return 1 as unknown as tf.Scalar;
    },
    'expected a scalar tensor, found a tensor of shape [8,12]. Take the mean': () =>
      tf.square(problem.variables[0]!) as unknown as tf.Scalar,
    'Cannot find a connection': () => tf.scalar(3),
    'no way back': () =>
      tf.customGrad(x => ({
        value: tf.sum(tf.square(x as tf.Tensor)),
        gradFunc: () => {
          throw new Error('no way back');
        },
      }))(tf.square(problem.variables[0]!)) as tf.Scalar,
  };
  const before = tf.memory().numTensors;
  for (const [message, loss] of Object.entries(losses)) {
    expect(() => optimizer.minimize(loss, true, [...problem.variables]), message).toThrow(message);
    expect(tf.memory().numTensors, message).toBe(before);
  }
  optimizer.minimize(problem.loss, false, [...problem.variables]);
  expect(optimizer.updates).toBe(1);
  expect(tf.memory().numTensors).toBe(before);
  optimizer.dispose();
  problem.dispose();
});

test.each(BACKENDS)('gradients that are refused are freed with the loss, %s', async backend => {
  await tf.setBackend(backend);
  const problem = regression();
  const optimizer = compose(OPTIONS);
  const before = tf.memory().numTensors;
  const infinite = (): tf.Scalar => tf.mul(problem.loss(), Number.POSITIVE_INFINITY) as tf.Scalar;
  expect(() => optimizer.minimize(infinite, true, [...problem.variables])).toThrow('NaN or Inf');
  expect(tf.memory().numTensors).toBe(before);
  optimizer.dispose();
  problem.dispose();
});
