import { listRecipes, recipe } from '@frugaljs/composer';
import { type Json, randomKey, randomNormals } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, expect, test } from 'vitest';
import { worstError } from '../../../tools/test-support/closeness.js';
import { describeOnDevice } from './device.js';

const SHAPES = { 'layers.0.up': [8, 12], 'layers.1.down': [12, 6], norm: [6] } as const;

const SETTINGS: Readonly<Record<string, { readonly [key: string]: Json }>> = {
  'frugal-blockwise': { density: 0.5 },
  galore: { density: 0.5, updateGap: 3 },
  badam: { density: 0.5, switchEvery: 3 },
  soap: { soap: { maxDimension: 8 } },
};

/** A subspace that is fitted to the gradient takes hundreds of small operations on a device. */
const STEPS = 5;
/** So does matrix algebra, at every step: a rule in tfjs operations, on the matrices of the model. */
const ALGEBRA = ['muon', 'ldAdam', 'soap', 'frugalMuon'];
const STEPS_OF_ALGEBRA = 2;

interface Run {
  readonly values: Float32Array;
  readonly kernels: readonly string[];
}

async function run(name: string, kernels: 'auto' | 'reference'): Promise<Run> {
  const variables = Object.entries(SHAPES).map(([variable, shape], i) => {
    const values = randomNormals(randomKey(21, i), tf.util.sizeFromShape([...shape]));
    return tf.tidy(() => tf.variable(tf.tensor(values, [...shape]), true, variable));
  });
  const gap = name.startsWith('frugal') ? { updateGap: 3 } : {};
  const before = tf.memory();
  const optimizer = recipe(name, { learningRate: 0.03, ...gap, ...SETTINGS[name], kernels });
  for (let step = 0; step < (ALGEBRA.includes(name) ? STEPS_OF_ALGEBRA : STEPS); step++) {
    const gradients = Object.fromEntries(
      variables.map((variable, i) => {
        return [variable.name, tf.tensor(randomNormals(randomKey(22, step, i), variable.size), variable.shape)];
      }),
    );
    const announced = optimizer.memoryReport(variables).totalStateBytes;
    optimizer.applyGradients(gradients);
    tf.dispose(gradients);
    await optimizer.settled();
    // The reference keeps two counters of the finite check, 4 bytes each.
    const kept = tf.memory().numBytes - before.numBytes - (kernels === 'reference' ? 8 : 0);
    expect(kept).toBe(announced);
  }
  const all = await Promise.all(variables.map(variable => variable.data<'float32'>()));
  const values = Float32Array.from(all.flatMap(part => [...part]));
  const described = optimizer.explain(variables).map(row => row.kernel);
  optimizer.dispose();
  expect(tf.memory().numTensors).toBe(before.numTensors);
  tf.dispose(variables);
  return { values, kernels: described };
}

afterEach(() => tf.disposeVariables());

describeOnDevice('recipes', () => {
  test('qGalore is refused by name, as its refreshes follow from numbers that cannot be read at once', () => {
    const w = tf.tidy(() => tf.variable(tf.ones([8, 12]), true, 'layers.0.up'));
    const g = tf.ones([8, 12]);
    const optimizer = recipe('qGalore');
    expect(() => optimizer.applyGradients({ [w.name]: g })).toThrow(
      /subspace\.refresh\.when at "layers\.0\.up": expected one on which the host knows before an update/,
    );
    optimizer.dispose();
    tf.dispose([w, g]);
  });

  test.each(listRecipes().filter(name => name !== 'qGalore'))(
    '%s: fused as the reference, with the memory it announced',
    { timeout: 240_000 },
    async name => {
      const [fused, reference] = [await run(name, 'auto'), await run(name, 'reference')];
      const isDense = /svd|galore|random|dct/.test(name);
      expect(worstError(fused.values, reference.values)).toBeLessThan(isDense ? 2e-4 : 2e-6);
      for (const kernel of fused.kernels) {
        if (ALGEBRA.includes(name) && /^reference: .*tensor operations/.test(kernel)) continue;
        if (!/at rest/.test(kernel)) expect(kernel).toMatch(/^fused WGSL, in place: /);
      }
      for (const kernel of reference.kernels) expect(kernel).toBe('reference: tfjs operations');
    },
  );
});
