import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import { NonFiniteGradientError } from '@frugaljs/core';
import { sgd } from '@frugaljs/state-free';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, test } from 'vitest';
import { type Clip, type ComposeOptions, compose } from '../src/index.js';
import { BACKENDS } from './fixtures.js';

const CLIPS: Readonly<Record<string, Clip>> = {
  nothing: {},
  value: { value: 1 },
  norm: { globalNorm: 1 },
  'value and norm': { value: 1, globalNorm: 1 },
};
const BAD = [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY];

/** Sizes that fill vectors, and that do not. */
const SIZES = [1, 4, 37];

const CASES = BACKENDS.flatMap(backend =>
  (['auto', 'reference'] as const).flatMap(kernels =>
    Object.keys(CLIPS).map(clips => ({ backend, kernels, clips, clip: CLIPS[clips]! })),
  ),
);

function run(options: Pick<ComposeOptions, 'clip' | 'kernels' | 'onNonFinite' | 'accumulate'>, size: number) {
  const w = tf.variable(tf.ones([size]), true, `w${size}`);
  const b = tf.variable(tf.ones([2]), true, 'b');
  const optimizer = compose({ learningRate: 1, groups: [{ use: sgd() }], ...options });
  return {
    optimizer,
    apply: (gradient: Float32Array) => {
      const gradients = { [w.name]: tf.tensor1d(gradient), b: tf.tensor1d([0.5, -0.5]) };
      try {
        optimizer.applyGradients(gradients);
      } finally {
        tf.dispose(gradients);
      }
    },
    values: () => [...w.dataSync(), ...b.dataSync()],
    dispose: () => {
      optimizer.dispose();
      tf.dispose([w, b]);
    },
  };
}

function gradientOf(size: number, place: number, bad: number): Float32Array {
  return new Float32Array(size).fill(0.25).fill(bad, place, place + 1);
}

// Also when a test has failed.
afterEach(() => tf.disposeVariables());

describe.each(CASES)('on $backend, kernels $kernels, with $clips clipped', ({ backend, kernels, clip }) => {
  test.each([1, 2])('throw and skip hold for the gradients as they came, accumulated over %i', async accumulate => {
    await tf.setBackend(backend);
    for (const size of SIZES) {
      for (const place of new Set([0, size >> 1, size - 1])) {
        for (const bad of BAD) {
          for (const onNonFinite of ['throw', 'skip'] as const) {
            const what = `${bad} at ${place} of ${size}, ${onNonFinite}`;
            const { optimizer, apply, values, dispose } = run({ clip, kernels, onNonFinite, accumulate }, size);
            const gradient = gradientOf(size, place, bad);
            if (onNonFinite === 'throw') expect(() => apply(gradient), what).toThrow(NonFiniteGradientError);
            else apply(gradient);
            expect(new Set(values()), what).toEqual(new Set([1]));
            expect(optimizer.skippedUpdates, what).toBe(onNonFinite === 'skip' ? 1 : 0);
            expect(optimizer.updates, what).toBe(0);
            for (let round = 0; round < accumulate; round++) apply(gradientOf(size, place, 0.25));
            expect(optimizer.updates, what).toBe(1);
            expect(values()[0], what).toBeLessThan(1);
            dispose();
          }
        }
      }
    }
  });

  test('a sum of finite rounds that overflows is not applied', async () => {
    await tf.setBackend(backend);
    const { optimizer, apply, values, dispose } = run({ clip, kernels, onNonFinite: 'skip', accumulate: 2 }, 5);
    apply(gradientOf(5, 4, 3e38));
    apply(gradientOf(5, 4, 3e38));
    expect(new Set(values())).toEqual(new Set([1]));
    expect(optimizer.skippedUpdates).toBe(1);
    dispose();
  });
});

test.each(BACKENDS.flatMap(backend => (['auto', 'reference'] as const).map(kernels => ({ backend, kernels }))))(
  'ignore: an infinite entry that is limited counts with its limit in the norm, $backend, $kernels',
  async ({ backend, kernels }) => {
    await tf.setBackend(backend);
    const clip = { value: 1e-3, globalNorm: 1e-6 };
    const { apply, values, dispose } = run({ clip, kernels, onNonFinite: 'ignore' }, 2);
    apply(Float32Array.of(Number.POSITIVE_INFINITY, 0));
    // Three limited entries: each is 1e-6 / sqrt(3) after clipping, far below what a wrong norm would leave.
    for (const value of values()) expect(Math.abs(value - 1)).toBeLessThan(2e-6);
    dispose();
  },
);
