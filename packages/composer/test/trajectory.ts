import { randomKey, randomNormals } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import { worstError } from '../../../tools/test-support/closeness.js';
import type { ComposedOptimizer } from '../src/index.js';

/** Named matrices and vectors under gradients that do not depend on them. */
export interface Stream {
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly seed: number;
  readonly steps: number;
}

export type Values = Readonly<Record<string, Float32Array>>;

/** The starting values of a stream. */
export function startOf({ shapes, seed }: Stream): Values {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, randomNormals(randomKey(seed, name, 'start'), size(shape))]),
  );
}

/** The gradients of one step. */
export function gradientsAt({ shapes, seed }: Stream, step: number): Values {
  return Object.fromEntries(
    Object.entries(shapes).map(([name, shape]) => [name, randomNormals(randomKey(seed, name, step), size(shape))]),
  );
}

/**
 * Runs an optimizer over a stream and returns the values after every step.
 *
 * @param before Called before each step, for optimizers that are replaced on the way; returns the one to use.
 */
export function follow(
  stream: Stream,
  optimizer: ComposedOptimizer | ((step: number) => ComposedOptimizer),
  gradients: (step: number) => Values = step => gradientsAt(stream, step),
  start: Values = startOf(stream),
): Values[] {
  const variables = Object.entries(stream.shapes).map(([name, shape]) =>
    tf.tidy(() => tf.variable(tf.tensor(start[name]!, [...shape]), true, name)),
  );
  const path: Values[] = [];
  let current: ComposedOptimizer | undefined;
  try {
    for (let step = 0; step < stream.steps; step++) {
      const next = typeof optimizer === 'function' ? optimizer(step) : optimizer;
      if (current !== next) current?.dispose();
      current = next;
      const values = gradients(step);
      const tensors = Object.fromEntries(
        Object.keys(values).map(name => [name, tf.tensor(values[name]!, [...stream.shapes[name]!])]),
      );
      current.applyGradients(tensors);
      tf.dispose(tensors);
      path.push(Object.fromEntries(variables.map(variable => [variable.name, Float32Array.from(variable.dataSync())])));
    }
  } finally {
    current?.dispose();
    tf.dispose(variables);
  }
  return path;
}

/** Largest difference of two paths, relative to the largest value. */
export function deviation(a: readonly Values[], b: readonly Values[]): number {
  const errors = b.flatMap((values, step) =>
    Object.entries(values).map(([name, expected]) => worstError(a[step]![name]!, expected, 1e-30)),
  );
  return Math.max(0, ...errors);
}

function size(shape: readonly number[]): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}
