import { randomKey, randomNormals } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { expect } from 'vitest';
import { type ComposeOptions, compose } from '../src/index.js';

export interface Case {
  readonly shapes: readonly (readonly number[])[];
  readonly seed: number;
  readonly steps: number;
}

export const cases = (minRank: number, steps: number): fc.Arbitrary<Case> =>
  fc.record({
    shapes: fc.array(
      fc.array(fc.integer({ min: 1, max: 13 }), { minLength: minRank, maxLength: minRank === 2 ? 2 : 3 }),
      { minLength: 1, maxLength: 3 },
    ),
    seed: fc.nat(1e6),
    steps: fc.constant(steps),
  });

/** Runs the same composition fused and as the reference; returns the worst difference, and how the parameters ran. */
export function compare(
  { shapes, seed, steps }: Case,
  options: Omit<ComposeOptions, 'kernels'>,
): { worst: number; kernels: string[] } {
  const run = (kernels: 'auto' | 'reference'): { values: Float32Array[]; kernels: string[] } => {
    const variables = shapes.map((shape, i) => {
      const start = randomNormals(
        randomKey(seed, i, 'start'),
        shape.reduce((a, b) => a * b, 1),
      );
      return tf.tidy(() => tf.variable(tf.tensor(start, [...shape]), true, `w${i}`));
    });
    const optimizer = compose({ ...options, kernels });
    const before = tf.memory().numTensors;
    let settled = 0;
    try {
      for (let step = 0; step < steps; step++) {
        const gradients = Object.fromEntries(
          variables.map((variable, i) => {
            const g = randomNormals(randomKey(seed, i, step), variable.size);
            // Some gradients are exactly zero, as those of unused embedding rows are.
            for (let j = 0; j < g.length; j += 5) g[j] = 0;
            return [variable.name, tf.tensor(g, variable.shape)];
          }),
        );
        const copies = Object.values(gradients).map(g => g.dataSync().slice());
        optimizer.applyGradients(gradients);
        expect(Object.values(gradients).map(g => g.dataSync())).toEqual(copies);
        tf.dispose(gradients);
        if (step === steps - 2) settled = tf.memory().numBytes;
      }
      expect(tf.memory().numTensors).toBeGreaterThanOrEqual(before);
      if (steps > 2 && !JSON.stringify(optimizer.toJSON()).includes('blockwise'))
        expect(tf.memory().numBytes).toBe(settled);
      const values = variables.map(variable => variable.dataSync().slice() as Float32Array);
      const description = optimizer.explain(variables).map(row => row.kernel);
      optimizer.dispose();
      expect(tf.memory().numTensors).toBe(before);
      return { values, kernels: description };
    } finally {
      optimizer.dispose();
      tf.dispose(variables);
    }
  };
  const [fused, reference] = [run('auto'), run('reference')];
  let worst = 0;
  reference.values.forEach((values, i) => {
    const scale = values.reduce((max, x) => Math.max(max, Math.abs(x)), 1e-3);
    values.forEach((x, j) => {
      const error = Math.abs(fused.values[i]![j]! - x) / scale;
      worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(worst, error);
    });
  });
  return { worst, kernels: fused.kernels };
}
