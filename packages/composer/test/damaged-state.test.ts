import '@frugaljs/backend-wasm';
import { InvalidStateError } from '@frugaljs/core';
import { columns } from '@frugaljs/projectors';
import { adamW } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { type ComposedOptimizer, compose, residual, subspace } from '../src/index.js';
import { BACKENDS } from './fixtures.js';

const USE = subspace({ projector: columns({ density: 0.5 }), rule: adamW(), combine: residual(adamW()) });

const DAMAGE: readonly (readonly [name: string, value: number])[] = [
  ['::updates', -1],
  ['::skipped', -1],
  ['w::epoch', -1],
  ['w::rule/t', -1],
  ['w::residual/t', -2],
  ['w::rule/m', Number.NaN],
  ['w::rule/v', Number.NaN],
  ['w::rule/v', -1e-9],
  ['w::residual/v', -1],
  ['b::v', Number.NEGATIVE_INFINITY],
  ['b::m', Number.NaN],
];

function step(optimizer: ComposedOptimizer): void {
  const gradients = { w: tf.fill([4, 6], 0.5), b: tf.fill([3], -0.5) };
  optimizer.applyGradients(gradients);
  tf.dispose(gradients);
}

function composed(): ComposedOptimizer {
  return compose({ learningRate: 0.1, groups: [{ match: { minRank: 2 }, use: USE }, { use: adamW() }] });
}

type Contents = readonly { readonly name: string; readonly tensor: tf.Tensor }[];

async function copyOf(optimizer: ComposedOptimizer): Promise<Contents> {
  return (await optimizer.getWeights()).map(({ name, tensor }) => ({ name, tensor: tensor.clone() }));
}

function numbersOf(contents: Contents): [string, number[]][] {
  return contents.map(({ name, tensor }) => [name, [...tensor.dataSync()]]);
}

test.each(BACKENDS.flatMap(backend => DAMAGE.map(([name, value]) => ({ backend, name, value }))))(
  'state with $value in $name is refused, and nothing is replaced, $backend',
  async ({ backend, name, value }) => {
    await tf.setBackend(backend);
    const variables = [tf.variable(tf.ones([4, 6]), true, 'w'), tf.variable(tf.ones([3]), true, 'b')];
    const before = tf.memory().numTensors;
    const optimizer = composed();
    step(optimizer);
    const saved = await copyOf(optimizer);
    step(optimizer);
    const own = await copyOf(optimizer);
    const damaged = saved.map(entry => {
      if (entry.name !== name) return entry;
      const values = Array.from(entry.tensor.dataSync());
      values[values.length - 1] = value;
      return { name, tensor: tf.tensor(values, entry.tensor.shape, entry.tensor.dtype) };
    });
    const tensors = tf.memory().numTensors;
    const loading = optimizer.setWeights([...damaged]);
    await expect(loading).rejects.toThrow(InvalidStateError);
    await expect(loading).rejects.toThrow(name);
    expect(tf.memory().numTensors).toBe(tensors);
    const after = await copyOf(optimizer);
    expect(numbersOf(after)).toEqual(numbersOf(own));
    await optimizer.setWeights([...saved]);
    expect(optimizer.updates).toBe(1);
    const replaced = damaged.filter(entry => !saved.includes(entry));
    expect(replaced).toHaveLength(1);
    optimizer.dispose();
    for (const { tensor } of [...saved, ...own, ...after, ...replaced]) tensor.dispose();
    expect(tf.memory().numTensors).toBe(before);
    tf.dispose(variables);
  },
);

test('a second moment below 0 that waits for its variable is refused when that appears', async () => {
  await tf.setBackend('cpu');
  const b = tf.variable(tf.ones([3]), true, 'b');
  const w = tf.variable(tf.ones([4, 6]), true, 'w');
  const trained = composed();
  step(trained);
  const saved = (await copyOf(trained)).map(({ name, tensor }) => ({
    name,
    tensor: name === 'b::v' ? tf.fill([3], -1) : tensor,
  }));
  trained.dispose();
  const waiting = composed();
  await waiting.setWeights(saved);
  expect(() => step(waiting)).toThrow('b::v');
  waiting.dispose();
  tf.dispose([w, b]);
});
