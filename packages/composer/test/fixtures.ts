import { UnsupportedShapeError } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import '@tensorflow/tfjs-layers';
import { worstError } from '../../../tools/test-support/closeness.js';
import { type ComposeOptions, compose, type NamedShape } from '../src/index.js';

/** Backends on which every recipe and law of this package is tried. */
export const BACKENDS: readonly string[] = ['cpu', 'wasm'];

export interface Problem {
  readonly variables: readonly tf.Variable[];
  /** Mean squared error of a two-layer linear model with a bias; smooth, with matrices and a vector. */
  loss(): tf.Scalar;
  gradients(): tf.NamedTensorMap;
  dispose(): void;
}

let problems = 0;

/** A small regression problem, the same for the same seed, with variables of its own. */
export function regression(seed = 1, prefix = `p${problems++}`): Problem {
  const normal = (shape: number[], offset: number): tf.Tensor =>
    tf.randomNormal(shape, 0, 1, 'float32', 1000 * seed + offset);
  const variable = (shape: number[], offset: number, name: string): tf.Variable =>
    tf.tidy(() => tf.variable(tf.mul(normal(shape, offset), 0.3), true, `${prefix}/${name}`));
  const inner = variable([8, 12], 1, 'layers.0.up');
  const outer = variable([12, 6], 2, 'layers.1.down');
  const norm = variable([6], 3, 'norm');
  const x = tf.keep(normal([16, 8], 4));
  const y = tf.keep(normal([16, 6], 5));
  const variables = [inner, outer, norm];
  const loss = (): tf.Scalar =>
    tf.tidy(() => {
      const prediction = tf.add(
        tf.matMul(tf.matMul(x as tf.Tensor2D, inner as tf.Tensor2D), outer as tf.Tensor2D),
        norm,
      );
      return tf.mean(tf.square(tf.sub(prediction, y))) as tf.Scalar;
    });
  return {
    variables,
    loss,
    gradients: () => {
      const { value, grads } = tf.variableGrads(loss, [...variables]);
      value.dispose();
      return grads;
    },
    dispose: () => {
      for (const tensor of [...variables, x, y]) tensor.dispose();
    },
  };
}

/** Copies of the values of variables. */
export function valuesOf(variables: readonly tf.Variable[]): Float32Array[] {
  return variables.map(variable => Float32Array.from(variable.dataSync()));
}

/** Largest |a - b|, relative to the largest |b| of the same variable. */
export function difference(a: readonly Float32Array[], b: readonly Float32Array[]): number {
  return Math.max(...b.map((values, i) => worstError(a[i]!, values, 1e-30)));
}

/** False where all of some parameter would be dropped, which is refused: see empty-subspace.test.ts. */
export function trainsAll(options: ComposeOptions, parameters: readonly NamedShape[]): boolean {
  const optimizer = compose(options);
  try {
    optimizer.memoryReport(parameters);
    return true;
  } catch (error) {
    if (error instanceof UnsupportedShapeError) return false;
    throw error;
  } finally {
    optimizer.dispose();
  }
}
