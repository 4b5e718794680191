import '@frugaljs/backend-wasm';
import { randomKey, randomNormals } from '@frugaljs/core';
import { dct, random, svd } from '@frugaljs/projectors';
import { sgd } from '@frugaljs/state-free';
import { adamW, sgdm } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import { type ComposeOptions, compose, drop, residual, subspace } from '../src/index.js';
import './fixtures.js';

/** Large enough for a step to go by bands of rows, which six does not divide. */
const SHAPES = [
  [299, 263],
  [263, 299],
] as const;

const PROJECTORS = {
  svd: () => svd({ density: 0.25 }),
  // Not svd: its gradient inside is diagonal at a refresh, and Adam makes full steps of the rounding noise beside it.
  'random, both sides': () => random({ density: 0.25, side: 'full' }),
  'random, larger dimension': () => random({ density: 0.25, side: 'reverse_std' }),
  dct: () => dct({ density: 0.25 }),
};
const COMBINES = {
  drop: () => drop(),
  'residual without state': () => residual(sgd(), { scale: 3 }),
  'residual with state as large as the parameter': () => residual(sgdm()),
};

beforeAll(async () => {
  await tf.setBackend('wasm');
});

test.each(
  Object.keys(PROJECTORS).flatMap(projector => Object.keys(COMBINES).map(combine => [projector, combine] as const)),
)('%s, %s: by bands of rows as in one piece', (projector, combine) => {
  const use = subspace({
    projector: PROJECTORS[projector as keyof typeof PROJECTORS](),
    rule: adamW(),
    combine: COMBINES[combine as keyof typeof COMBINES](),
    refresh: { every: 2 },
  });
  const options = { learningRate: 0.1, groups: [{ use, weightDecay: 0.1 }], clip: { globalNorm: 5 } };
  const [fused, reference] = [train({ ...options, kernels: 'auto' }), train({ ...options, kernels: 'reference' })];
  expect(fused.kernels).toEqual(SHAPES.map(() => expect.stringContaining('matrix products and one pass')));
  fused.values.forEach((values, i) => {
    const largest = Math.max(...values.map(Math.abs));
    const worst = Math.max(...values.map((x, j) => Math.abs(x - reference.values[i]![j]!)));
    expect(worst).toBeLessThan(2e-4 * largest);
  });
});

test('what a step makes takes less memory than the parameter', () => {
  const use = subspace({ projector: svd({ density: 0.25 }), rule: adamW(), combine: residual(sgd()) });
  const variable = tf.variable(tf.zeros([512, 512]), true, 'w');
  const g = tf.randomNormal([512, 512], 0, 1, 'float32', 1);
  const optimizer = compose({ learningRate: 0.1, groups: [{ use }] });
  optimizer.applyGradients({ w: g });
  const tracker = tf.engine();
  const { trackTensor } = tracker;
  const before = tf.memory().numBytes;
  let peak = 0;
  tracker.trackTensor = (tensor, backend) => {
    trackTensor.call(tracker, tensor, backend);
    peak = Math.max(peak, tf.memory().numBytes - before);
  };
  try {
    optimizer.applyGradients({ w: g });
  } finally {
    tracker.trackTensor = trackTensor;
  }
  expect(peak).toBeGreaterThan(0);
  expect(peak).toBeLessThan(4 * 512 * 512);
  optimizer.dispose();
  tf.dispose([variable, g]);
});

function train(options: ComposeOptions): { values: Float32Array[]; kernels: string[] } {
  const before = tf.memory().numTensors;
  const variables = SHAPES.map((shape, i) => tf.tidy(() => tf.variable(normals(shape, i, 0), true, `w${i}`)));
  const optimizer = compose(options);
  for (let step = 1; step <= 4; step++) {
    const gradients = Object.fromEntries(SHAPES.map((shape, i) => [`w${i}`, normals(shape, i, step)]));
    optimizer.applyGradients(gradients);
    tf.dispose(gradients);
  }
  const values = variables.map(variable => variable.dataSync().slice() as Float32Array);
  const kernels = optimizer.explain(variables).map(({ kernel }) => kernel);
  optimizer.dispose();
  tf.dispose(variables);
  expect(tf.memory().numTensors).toBe(before);
  return { values, kernels };
}

function normals([rows, columns]: readonly [number, number], i: number, step: number): tf.Tensor {
  return tf.tensor2d(randomNormals(randomKey(7, i, step), rows * columns), [rows, columns]);
}
