import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import { type Projector, randomKey, randomNormals } from '@frugaljs/core';
import { dct, random, svd } from '@frugaljs/projectors';
import { sgd } from '@frugaljs/state-free';
import { sgdm } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, test } from 'vitest';
import { worstError } from '../../../tools/test-support/closeness.js';
import { type Clip, type ComposeOptions, compose, drop, residual, subspace } from '../src/index.js';
import { BACKENDS } from './fixtures.js';

const PROJECTORS: Readonly<Record<string, () => Projector>> = {
  svd: () => svd({ density: 0.25 }),
  'svd on both sides': () => svd({ density: 0.25, side: 'full' }),
  random: () => random({ density: 0.25 }),
  dct: () => dct({ density: 0.25 }),
};

/** A small one, and one that is stepped by bands of rows. */
const SHAPES = [
  [16, 12],
  [320, 256],
] as const;

// Also when a test has failed.
afterEach(() => tf.disposeVariables());

interface Outcome {
  readonly values: Float32Array;
  readonly kernel: string;
}

/** Steps of ±`size` in every entry, with linear rules, which keep the size of a gradient. */
function run(
  [rows, columns]: readonly [number, number],
  size: number,
  projector: Projector,
  isSplit: boolean,
  options: { readonly clip: Clip; readonly kernels: NonNullable<ComposeOptions['kernels']> },
): Outcome {
  const w = tf.variable(tf.zeros([rows, columns]), true, 'w');
  const use = subspace({ projector, rule: sgdm(), combine: isSplit ? residual(sgd()) : drop() });
  const optimizer = compose({ learningRate: 1, groups: [{ use }], ...options });
  for (let step = 0; step < 3; step++) {
    const normals = randomNormals(randomKey(11, step), rows * columns);
    const g = tf.tensor2d(
      normals.map(x => size * Math.max(-1, Math.min(1, x))),
      [rows, columns],
    );
    optimizer.applyGradients({ w: g });
    g.dispose();
  }
  const values = Float32Array.from(w.dataSync());
  const kernel = optimizer.explain([w])[0]!.kernel!;
  optimizer.dispose();
  w.dispose();
  return { values, kernel };
}

describe.each(BACKENDS)('huge gradients in a dense subspace on %s', backend => {
  const cases = Object.keys(PROJECTORS).flatMap(name =>
    SHAPES.slice(0, backend === 'cpu' ? 1 : 2).flatMap(shape =>
      [false, true].map(isSplit => ({ name, shape, isSplit })),
    ),
  );

  test.each(cases)(
    'a clipped norm rescues them: $name, $shape, residual $isSplit',
    async ({ name, shape, isSplit }) => {
      await tf.setBackend(backend);
      const make = PROJECTORS[name]!;
      for (const size of [1e25, 1e36, 1e38, 3.4e38]) {
        for (const clip of [{ globalNorm: 1 }, { value: size / 2, globalNorm: 1 }]) {
          const fused = run(shape, size, make(), isSplit, { clip, kernels: 'auto' });
          const reference = run(shape, size, make(), isSplit, { clip, kernels: 'reference' });
          if (!isSplit || backend !== 'cpu') expect(fused.kernel).toMatch(/matrix products and one pass/);
          expect(fused.values.every(Number.isFinite), `${size}`).toBe(true);
          expect(worstError(fused.values, reference.values, 1e-3), `${size}`).toBeLessThan(1e-4);
        }
      }
    },
  );

  test.each(['svd', 'random'])(
    'without a limit, what overflows in the projection by %s is NaN on both paths',
    async name => {
      await tf.setBackend(backend);
      const make = PROJECTORS[name]!;
      for (const [size, stays] of [
        [1e36, true],
        [3e38, false],
      ] as const) {
        for (const kernels of ['auto', 'reference'] as const) {
          const { values } = run([64, 48], size, make(), true, { clip: {}, kernels });
          expect(values.every(Number.isFinite), `${size}, ${kernels}`).toBe(stays);
        }
      }
    },
  );
});
