import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import { DisposedError, type Projector, UnsupportedShapeError } from '@frugaljs/core';
import { blockwise, columns, dct, randK, random, rows, svd } from '@frugaljs/projectors';
import { sgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { type ComposedOptimizer, compose, residual, subspace } from '../src/index.js';
import { BACKENDS } from './fixtures.js';

const SHAPES = [[], [1], [7], [1, 1], [1, 8], [8, 1], [4, 6], [3, 3, 2, 4]];
const DENSITIES = [0, 0.01, 0.3, 1];
const INTERVALS = [1, 2, Number.POSITIVE_INFINITY];
/** The projectors, and how many axes a parameter must and may have. */
const PROJECTORS: Record<string, [make: (options: { density: number }) => Projector, least: number, most: number]> = {
  rows: [rows, 2, 4],
  columns: [columns, 1, 4],
  randK: [randK, 0, 4],
  blockwise: [blockwise, 0, 4],
  svd: [svd, 2, 2],
  random: [random, 2, 2],
  dct: [dct, 2, 2],
};

function step(optimizer: ComposedOptimizer, shape: readonly number[], seed: number): void {
  const g = tf.randomNormal([...shape], 0, 1, 'float32', seed);
  try {
    optimizer.applyGradients({ edge: g });
  } finally {
    g.dispose();
  }
}

describe.each(BACKENDS)('on %s', backend => {
  test.each(Object.keys(PROJECTORS))('%s trains or refuses parameters of any shape, at any density', async name => {
    await tf.setBackend(backend);
    const [make, least, most] = PROJECTORS[name]!;
    for (const shape of SHAPES) {
      for (const density of DENSITIES) {
        for (const every of INTERVALS) {
          const variable = tf.tidy(() => tf.variable(tf.ones([...shape]), true, 'edge'));
          const before = tf.memory().numTensors;
          const use = subspace({
            projector: make({ density }),
            rule: adamW(),
            combine: residual(sgd()),
            refresh: { every },
          });
          const optimizer = compose({ learningRate: 0.1, groups: [{ use }] });
          const train = (): void => {
            for (let seed = 1; seed <= 3; seed++) step(optimizer, shape, seed);
          };
          if (shape.length < least || shape.length > most) {
            expect(train).toThrow(UnsupportedShapeError);
            expect(train).toThrow(`${name} at "edge"`);
          } else {
            train();
            for (const value of variable.dataSync()) {
              expect(Number.isFinite(value)).toBe(true);
              expect(value).not.toBe(1);
            }
          }
          optimizer.dispose();
          expect(tf.memory().numTensors).toBe(before);
          variable.dispose();
        }
      }
    }
  });

  test('a variable may be disposed and made anew, another optimizer take it over, and each be disposed twice', async () => {
    await tf.setBackend(backend);
    const before = tf.memory().numTensors;
    const made = (size: number): tf.Variable => tf.tidy(() => tf.variable(tf.ones([size]), true, 'edge'));
    const adam = (): ComposedOptimizer => compose({ learningRate: 0.1, groups: [{ use: adamW() }] });
    const optimizer = adam();
    const first = made(3);
    step(optimizer, [3], 1);
    first.dispose();
    expect(() => step(optimizer, [3], 1)).toThrow(DisposedError);
    const second = made(3);
    step(optimizer, [3], 2);
    expect(optimizer.updates).toBe(2);
    second.dispose();
    const third = made(4);
    expect(() => step(optimizer, [4], 3)).toThrow(/expected shape \[3\].*found shape \[4\]/);
    const other = adam();
    step(other, [4], 3);
    expect(optimizer.updates).toBe(2);
    for (const each of [optimizer, other, optimizer, other]) each.dispose();
    for (const each of [optimizer, other]) expect(() => step(each, [4], 4)).toThrow(DisposedError);
    await expect(other.getWeights()).rejects.toThrow(DisposedError);
    third.dispose();
    expect(tf.memory().numTensors).toBe(before);
  });
});
