import { type ComposeOptions, compose } from '@frugaljs/composer';
import { type Rule, randomKey, randomNormals } from '@frugaljs/core';
import { dispose, type Tensor, tensor, tidy, type Variable, variable } from '@tensorflow/tfjs-core';
import { worstError } from '../../../tools/test-support/closeness.js';

/** Variables of these shapes, filled with the normals of a seed. Subspaces depend on names: they are always the same. */
export function makeVariables(shapes: readonly (readonly number[])[], seed = 1): Variable[] {
  return shapes.map((shape, i) => {
    const size = shape.reduce((a, b) => a * b, 1);
    return tidy(() => variable(tensor(randomNormals(randomKey(seed, i, 'start'), size), [...shape]), true, `w${i}`));
  });
}

/** Gradients of one step, some of them exactly zero. */
export function makeGradients(variables: readonly Variable[], step: number, seed = 1): Record<string, Tensor> {
  return Object.fromEntries(
    variables.map((v, i) => {
      const g = randomNormals(randomKey(seed, i, step), v.size);
      for (let j = 0; j < g.length; j += 5) g[j] = 0;
      return [v.name, tensor(g, v.shape)];
    }),
  );
}

export interface Run {
  readonly values: readonly Float32Array[];
  readonly kernels: readonly string[];
}

/** Some steps of a composition with one rule on made-up gradients. */
export function follow(
  use: Rule,
  shapes: readonly (readonly number[])[],
  options: Omit<ComposeOptions, 'groups' | 'learningRate'> & {
    readonly weightDecay?: number;
    readonly after?: boolean;
  },
  steps = 6,
): Run {
  const { weightDecay = 0, after = false, ...rest } = options;
  const variables = makeVariables(shapes);
  const optimizer = compose({
    learningRate: 0.03,
    groups: [{ use, weightDecay, decay: after ? 'after' : 'before' }],
    ...rest,
  });
  for (let step = 0; step < steps; step++) {
    const gradients = makeGradients(variables, step);
    optimizer.applyGradients(gradients);
    dispose(gradients);
  }
  const values = variables.map(v => v.dataSync().slice() as Float32Array);
  const kernels = optimizer.explain(variables).map(({ kernel }) => kernel);
  optimizer.dispose();
  dispose(variables);
  return { values, kernels };
}

/** The largest difference between two runs, over the largest value of its parameter. */
export function difference(a: Run, b: Run): number {
  return Math.max(...b.values.map((expected, i) => worstError(a.values[i]!, expected)));
}
