import { recipe } from '@frugaljs/composer';
import { type Json, randomKey, randomNormals } from '@frugaljs/core';
import { dispose, type NamedTensorMap, tensor, tidy, type Variable, variable } from '@tensorflow/tfjs-core';

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  'model.embed_tokens.weight': [11, 6],
  'model.layers.0.self_attn.q_proj.weight': [6, 6],
  'model.layers.0.mlp.up_proj.weight': [9, 6],
  'model.layers.0.mlp.down_proj.weight': [6, 9],
  'model.layers.0.input_layernorm.weight': [6],
};
const STEPS = 4;
/** Short, so that subspaces change on the way. */
const GAP = 2;

const SETTINGS: Readonly<Record<string, { readonly [option: string]: Json }>> = {
  'frugal-blockwise': { density: 0.5 },
  galore: { density: 0.5, updateGap: GAP },
  badam: { density: 0.5, switchEvery: GAP, unit: 'matrix' },
};

/** How a recipe's fused kernels compare with the reference on the current backend. */
export interface Difference {
  /** The largest difference of a weight, relative to the largest weight. */
  readonly relative: number;
  /** What ran, per parameter. */
  readonly kernels: readonly string[];
}

export async function differenceOf(name: string): Promise<Difference> {
  const expected = await run(name, 'reference');
  const found = await run(name, 'auto');
  const scale = expected.values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
  const worst = found.values.reduce((most, value, i) => {
    const error = Math.abs(value - expected.values[i]!);
    return Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(most, error);
  }, 0);
  return { relative: worst / scale, kernels: found.kernels };
}

async function run(
  name: string,
  kernels: 'auto' | 'reference',
): Promise<{ readonly values: readonly number[]; readonly kernels: readonly string[] }> {
  const gap = name.startsWith('frugal') ? { updateGap: GAP } : {};
  const optimizer = recipe(name, { learningRate: 0.03, weightDecay: 0.1, ...gap, ...SETTINGS[name], kernels });
  const variables = Object.entries(SHAPES).map(([label, shape], i): Variable => {
    return tidy(() => variable(tensor(draw(i, 0, shape), [...shape]), true, label));
  });
  try {
    for (let step = 1; step <= STEPS; step++) {
      const gradients: NamedTensorMap = Object.fromEntries(
        variables.map(({ name: label, shape }, i) => [label, tensor(draw(i, step, shape), shape)]),
      );
      try {
        optimizer.applyGradients(gradients);
      } finally {
        dispose(gradients);
      }
    }
    await optimizer.settled();
    const parts = await Promise.all(variables.map(each => each.data<'float32'>()));
    const described = optimizer.explain(variables).map(({ kernel }) => kernel);
    return { values: parts.flatMap(part => Array.from(part)), kernels: described };
  } finally {
    // The next recipe has variables of the same names.
    optimizer.dispose();
    dispose(variables);
  }
}

function draw(parameter: number, step: number, shape: readonly number[]): Float32Array {
  return randomNormals(
    randomKey(parameter, step),
    shape.reduce((product, extent) => product * extent, 1),
  );
}
