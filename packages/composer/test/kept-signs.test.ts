import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import { randomKey, randomNormals } from '@frugaljs/core';
import { type SvdOptions, svd } from '@frugaljs/projectors';
import { adamW } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { type ComposeOptions, compose, subspace } from '../src/index.js';
import { BACKENDS } from './fixtures.js';
import { deviation, follow, type Values } from './trajectory.js';

const SIZE = 10;
const STREAM = { shapes: { w: [SIZE, SIZE] }, seed: 4, steps: 36 };

/** Turns a vector in a plane that no coordinate knows of. */
function turned(x: readonly number[], angle: number): number[] {
  const [a, b] = PLANE;
  const [p, q] = [inner(x, a), inner(x, b)];
  const [c, s] = [Math.cos(angle), Math.sin(angle)];
  return x.map((value, i) => value + (c * p - s * q - p) * a[i]! + (s * p + c * q - q) * b[i]!);
}

const inner = (x: readonly number[], y: readonly number[]): number =>
  x.reduce((sum, value, i) => sum + value * y[i]!, 0);
const PLANE = orthonormal(2, 'plane');
const [LEFT, RIGHT] = [orthonormal(3, 'left'), orthonormal(3, 'right')];

function orthonormal(count: number, key: string): [number[], number[], ...number[][]] {
  const found: number[][] = [];
  for (let k = 0; k < count; k++) {
    let x = [...randomNormals(randomKey(2, key, k), SIZE)];
    for (const other of found) {
      const along = inner(x, other);
      x = x.map((value, i) => value - along * other[i]!);
    }
    const norm = Math.sqrt(inner(x, x));
    found.push(x.map(value => value / norm));
  }
  return found as [number[], number[], ...number[][]];
}

type Which = 'rows' | 'columns';

/** A matrix in other coordinates, in which rows or columns are turned. */
function inOtherCoordinates(values: Float32Array, which: Which, angle: number): Float32Array {
  const result = new Float32Array(values.length);
  for (let k = 0; k < SIZE; k++) {
    const at = (i: number): number => (which === 'columns' ? k * SIZE + i : i * SIZE + k);
    turned(
      Array.from({ length: SIZE }, (_, i) => values[at(i)]!),
      angle,
    ).forEach((x, i) => {
      result[at(i)] = x;
    });
  }
  return result;
}

/** Gradients with three large directions of well separated sizes, which go around slowly. */
function gradientAt(step: number): Float32Array {
  const values = new Float32Array(SIZE * SIZE);
  [4, 2, 1].forEach((size, k) => {
    const [u, v] = [LEFT, RIGHT].map(vectors => turned(vectors[k]!, step / 6));
    for (let i = 0; i < values.length; i++) values[i]! += size * u![Math.floor(i / SIZE)]! * v![i % SIZE]!;
  });
  return values;
}

/** The way of the weights, seen in the usual coordinates, of a run in others. */
function run(
  { side, ...options }: SvdOptions & { readonly side: 'left' | 'right' },
  angle: number,
  kernels: NonNullable<ComposeOptions['kernels']>,
): Values[] {
  const use = subspace({
    projector: svd({ rank: 3, side, ...options }),
    rule: adamW({ epsilon: 1e-2 }),
    refresh: { every: 2 },
    onRefresh: 'keep',
  });
  // The rule steps on G V (or Uᵀ G), which does not change with the coordinates of the side that is projected.
  const which = side === 'right' ? 'columns' : 'rows';
  const view = (values: Float32Array, by: number): Values => ({ w: inOtherCoordinates(values, which, by) });
  const optimizer = compose({ learningRate: 0.1, groups: [{ use }], kernels });
  const start = view(randomNormals(randomKey(5), SIZE * SIZE), angle);
  return follow(STREAM, optimizer, step => view(gradientAt(step), angle), start).map(({ w }) => view(w!, -angle));
}

describe.each(BACKENDS)('state that is kept while singular vectors move, on %s', backend => {
  test.each([
    { method: 'exact', side: 'right' },
    { method: 'exact', side: 'left' },
    { method: 'randomized', side: 'right' },
    { method: 'randomized', side: 'right', warmStart: false },
  ] as const)('does not depend on the signs that a decomposition gives them, %o', async options => {
    await tf.setBackend(backend);
    for (const kernels of ['auto', 'reference'] as const) {
      const usual = run(options, 0, kernels);
      for (const angle of [1, 2, 3])
        expect(deviation(run(options, angle, kernels), usual), `${angle}`).toBeLessThan(5e-5);
    }
  });
});
