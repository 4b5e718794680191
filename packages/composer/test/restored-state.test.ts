import '@frugaljs/backend-wasm';
import { blockwise, columns, randK, svd } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { type ComposedOptimizer, compose, residual, subspace } from '../src/index.js';
import { gradientsAt, type Stream, startOf } from './trajectory.js';
import './fixtures.js';

const STREAM: Stream = { shapes: { w: [6, 8], v: [7, 5] }, seed: 3, steps: 9 };
const PROJECTORS = { columns, randK, blockwise, svd };

/** State goes back into the optimizer it came from, while its subspaces stay what they are. */
describe.each(['cpu', 'wasm'])('on %s', backend => {
  test.each(Object.keys(PROJECTORS) as (keyof typeof PROJECTORS)[])(
    'going back to saved state in the middle of a refresh repeats the same steps (%s)',
    async name => {
      await tf.setBackend(backend);
      const use = subspace({
        projector: PROJECTORS[name]({ density: 0.5 }),
        rule: adamW(),
        combine: residual(signSgd()),
        refresh: { every: 20 },
      });
      const before = tf.memory().numTensors;
      const variables = Object.entries(startOf(STREAM)).map(([key, values]) =>
        tf.tidy(() => tf.variable(tf.tensor(values, [...STREAM.shapes[key]!]), true, key)),
      );
      const optimizer = compose({ learningRate: 0.1, groups: [{ use }] });
      steps(optimizer, 0, 4);
      const state = (await optimizer.getWeights()).map(({ name: path, tensor }) => ({
        name: path,
        tensor: tf.tensor(tensor.dataSync().slice(), tensor.shape, tensor.dtype),
      }));
      const values = variables.map(variable => variable.dataSync().slice());
      steps(optimizer, 4, 9);
      const first = variables.map(variable => variable.dataSync().slice());
      variables.forEach((variable, i) => {
        tf.tidy(() => {
          variable.assign(tf.tensor(values[i]!, variable.shape));
        });
      });
      await optimizer.setWeights(state);
      steps(optimizer, 4, 9);
      expect(variables.map(variable => variable.dataSync().slice())).toEqual(first);
      for (const { tensor } of state) tensor.dispose();
      optimizer.dispose();
      tf.dispose(variables);
      expect(tf.memory().numTensors).toBe(before);
    },
  );

  test('state that waits for its variables is saved again as it was loaded', async () => {
    await tf.setBackend(backend);
    const use = subspace({ projector: columns({ density: 0.5 }), rule: adamW(), combine: residual(signSgd()) });
    const variables = Object.entries(startOf(STREAM)).map(([key, values]) =>
      tf.tidy(() => tf.variable(tf.tensor(values, [...STREAM.shapes[key]!]), true, key)),
    );
    const before = tf.memory().numTensors;
    const trained = compose({ learningRate: 0.1, groups: [{ use }], accumulate: 2 });
    steps(trained, 0, 3);
    const saved = contents(await trained.getWeights());
    const waiting = compose({ learningRate: 0.1, groups: [{ use }], accumulate: 2 });
    await waiting.setWeights(await trained.getWeights());
    expect(contents(await waiting.getWeights())).toEqual(saved);
    trained.dispose();
    expect(contents(await waiting.getWeights())).toEqual(saved);
    steps(waiting, 3, 4);
    expect([...contents(await waiting.getWeights()).keys()].sort()).toEqual(
      [...saved.keys()].filter(name => !name.endsWith('accumulator')).sort(),
    );
    waiting.dispose();
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose(variables);
  });
});

function contents(weights: readonly { name: string; tensor: tf.Tensor }[]): Map<string, number[]> {
  return new Map(weights.map(({ name, tensor }) => [name, [...tensor.dataSync()]]));
}

function steps(optimizer: ComposedOptimizer, from: number, to: number): void {
  for (let step = from; step < to; step++) {
    const values = gradientsAt(STREAM, step);
    const gradients = Object.fromEntries(
      Object.keys(values).map(name => [name, tf.tensor(values[name]!, [...STREAM.shapes[name]!])]),
    );
    optimizer.applyGradients(gradients);
    tf.dispose(gradients);
  }
}
