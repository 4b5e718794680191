import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import type { Projector } from '@frugaljs/core';
import { asMatrix, dct, random, svd } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { afterEach, describe, expect, test } from 'vitest';
import {
  badam,
  type ComposedOptimizer,
  compose,
  compositionFromJson,
  frugal,
  galore,
  projectorFromJson,
  registerProjector,
  residual,
  subspace,
} from '../src/index.js';
import { BACKENDS, valuesOf } from './fixtures.js';

afterEach(() => tf.disposeVariables());

/** The last is large enough to be updated by bands of rows. */
const KERNELS = [
  [3, 3, 8, 16],
  [5, 6, 8],
  [3, 3, 12, 2],
  [3, 3, 64, 120],
];

/** Variables of these shapes; the same numbers for shapes of the same sizes. */
function variables(shapes: readonly (readonly number[])[]): tf.Variable[] {
  return shapes.map((shape, i) =>
    tf.tidy(() => {
      const size = shape.reduce((a, b) => a * b, 1);
      return tf.variable(tf.reshape(tf.randomNormal([size], 0, 1, 'float32', 7 + i), [...shape]), true, `conv${i}`);
    }),
  );
}

function train(optimizer: ComposedOptimizer, trained: readonly tf.Variable[], steps = 9): void {
  for (let i = 0; i < steps; i++) {
    const gradients = Object.fromEntries(
      trained.map(({ name, size, shape }, j) => [
        name,
        tf.tidy(() => tf.reshape(tf.randomNormal([size], 0, 1, 'float32', 1 + 100 * i + j), shape)),
      ]),
    );
    optimizer.applyGradients(gradients);
    tf.dispose(gradients);
  }
}

function split(projector: Projector, kernels: 'auto' | 'reference'): ComposedOptimizer {
  const use = subspace({ projector, rule: adamW(), combine: residual(signSgd()), refresh: { every: 4 } });
  return compose({ learningRate: 0.01, groups: [{ use }], kernels });
}

const INNER: readonly Projector[] = [svd({ density: 0.5 }), random({ density: 0.5 }), dct({ density: 0.5 })];

describe.each(BACKENDS)('on %s', backend => {
  test.each(
    INNER.flatMap(inner => (['auto', 'reference'] as const).map(kernels => ({ inner, kernels, kind: inner.kind }))),
  )(
    'asMatrix($kind) trains a kernel as its matrix is trained, in the same kernels and bytes: $kernels',
    async ({ inner, kernels }) => {
      await tf.setBackend(backend);
      const run = (projector: Projector, shapes: readonly (readonly number[])[]) => {
        const trained = variables(shapes);
        const optimizer = split(projector, kernels);
        const announced = optimizer.memoryReport(trained).totalStateBytes;
        const before = tf.memory().numBytes;
        train(optimizer, trained);
        expect(tf.memory().numBytes - before).toBe(announced);
        const ran = optimizer.explain(trained).map(({ kernel }) => kernel);
        const values = valuesOf(trained);
        optimizer.dispose();
        tf.dispose(trained);
        return { values, ran, announced };
      };
      const matrices = KERNELS.map(shape => [shape.slice(0, -1).reduce((a, b) => a * b, 1), shape.at(-1)!]);
      const found = run(asMatrix(inner), KERNELS);
      expect(found).toEqual(run(inner, matrices));
      if (kernels === 'auto' && backend === 'wasm') expect(found.ran[0]).toMatch(/matrix products and one pass$/);
    },
  );

  test.each([
    frugal({ projector: 'svd', convolutions: true }),
    galore({ convolutions: true }),
    badam({ convolutions: true }),
  ])('a recipe puts kernels of convolutions in a subspace where it is asked to (%#)', async optimizer => {
    await tf.setBackend(backend);
    const trained = variables([[3, 3, 8, 16], [16], [144, 10]]);
    const inSubspace = optimizer.explain(trained).map(({ rule }) => rule.startsWith('subspace('));
    expect(inSubspace).toEqual([true, false, true]);
    train(optimizer, trained, 3);
    optimizer.dispose();
    expect(
      frugal()
        .explain(trained)
        .map(({ rule }) => rule.startsWith('subspace(')),
    ).toEqual([false, false, true]);
  });
});

test('asMatrix is loaded from JSON, with a projector of one’s own in it', () => {
  const optimizer = compose({
    learningRate: 1,
    groups: [{ use: subspace({ projector: asMatrix(svd({ rank: 2 })), rule: adamW() }) }],
  });
  const json = JSON.parse(JSON.stringify(optimizer.toJSON()));
  const again = compose(compositionFromJson(json));
  expect(again.toJSON()).toEqual(optimizer.toJSON());
  expect(again.explain([{ name: 'w', shape: [3, 3, 4, 5] }])[0]!.rule).toContain('asMatrix(svd(rank 2))');
  registerProjector('mine', () => ({ ...svd({ rank: 1 }), kind: 'mine', options: {} }));
  const mine = projectorFromJson({ kind: 'asMatrix', options: { projector: { kind: 'mine', options: {} } } });
  expect(mine.options).toEqual({ projector: { kind: 'mine', options: {} } });
  expect(mine.reducedShape({ name: 'w', shape: [3, 3, 4, 5], seed: 0, path: '', members: [], index: 0 }, 0)).toEqual([
    36, 1,
  ]);
  for (const each of [optimizer, again]) each.dispose();
});

test('fullRank takes the names of an output layer of tf.layers, and says when no parameter has one', () => {
  const model = tfl.sequential({
    layers: [
      tfl.layers.embedding({ inputDim: 7, outputDim: 4, inputLength: 3 }),
      tfl.layers.flatten(),
      tfl.layers.dense({ units: 8 }),
      tfl.layers.dense({ units: 5 }),
    ],
  });
  const head = model.layers.at(-1)!.weights.map(({ name }) => name);
  const ruleOf = (optimizer: ComposedOptimizer) =>
    optimizer.explain(model.trainableWeights).map(({ rule }) => rule.replace(/\(.*/, ''));
  const names = model.trainableWeights.map(({ name }) => name);
  expect(names[0]).toMatch(/^embedding_.*\/embeddings$/);
  expect(ruleOf(frugal())).toEqual(['adamW', 'subspace', 'adamW', 'subspace', 'adamW']);
  for (const make of [frugal, galore, badam]) {
    expect(ruleOf(make({ fullRank: head }))).toEqual(['adamW', 'subspace', 'adamW', 'adamW', 'adamW']);
    expect(() => ruleOf(make({ fullRank: 'lm_head' }))).toThrow(
      /"lm_head" that takes none of the parameters embedding/,
    );
  }
  model.dispose();
});
