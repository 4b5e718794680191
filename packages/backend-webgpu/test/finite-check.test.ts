import { tensorDevice } from '@frugaljs/backend-webgpu';
import { compose } from '@frugaljs/composer';
import { randomKey, randomNormals, randomUniform } from '@frugaljs/core';
import { sgd } from '@frugaljs/state-free';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { Dispatcher } from '../src/device/dispatcher.js';
import { BufferCheck } from '../src/fused/finite-check.js';
import { describeOnDevice } from './device.js';

function newCheck(): BufferCheck {
  return new BufferCheck(new Dispatcher(tensorDevice(tf.backend())));
}

describeOnDevice('the norm of all gradients', () => {
  /** Of values in float32, summed in float64. */
  const norm = (all: readonly Float32Array[]): number =>
    Math.sqrt(all.reduce((sum, values) => values.reduce((part, x) => part + x * x, sum), 0));

  async function factorOf(
    all: readonly Float32Array[],
    globalNorm: number,
    limits: { readonly clipValue?: number } = {},
  ): Promise<number> {
    const check = newCheck();
    const gradients = all.map((values, id) => ({ id, gradient: tf.tensor1d(values) }));
    const { factor } = check.check(gradients, { ...limits, globalNorm, onNonFinite: 'ignore' });
    const [found] = await factor!.data();
    tf.dispose([factor!, gradients.map(({ gradient }) => gradient)]);
    check.dispose();
    return found!;
  }

  test('is as good as one in float64, to the last bits of float32, for millions of entries', async () => {
    const many = Array.from({ length: 300 }, (_, i) => new Float32Array(100 + i).fill(0.1));
    const large = [3_000_000, 1_500_001].map((size, i) => randomNormals(randomKey(5, i), size));
    for (const all of [[new Float32Array(9_000_000).fill(0.1)], large, many, [...many, ...large]]) {
      const expected = 1 / (norm(all) + 1e-6);
      const error = Math.abs((await factorOf(all, 1)) / expected - 1);
      expect(error).toBeLessThan(3e-7);
    }
  });

  test.each([
    [1e25, 1],
    [1e-12, 1e-14],
    [3e-20, 1e-6],
    [5, 1e-12],
    [1e30, 1e8],
    [2e38, 1e30],
    [1e3, 3e38],
  ])('of entries of %d, limited to %d', async (size, globalNorm) => {
    const values = Float32Array.from(randomNormals(randomKey(6, 1), 4001), x => Math.max(-1, Math.min(1, x)) * size);
    const expected = Math.min(1, globalNorm / (norm([values]) + 1e-6));
    const found = await factorOf([values], globalNorm);
    expect(found / expected).toBeCloseTo(1, 6);
  });

  // One entry at a time and four, one workgroup and several.
  test.each([1, 3, 4, 1023, 1024, 40_001, 40_004])('of %i limited entries', async size => {
    const values = randomNormals(randomKey(9, size), size);
    const expected = 1e-3 / (norm([values.map(x => Math.max(-0.5, Math.min(0.5, x)))]) + 1e-6);
    expect((await factorOf([values], 1e-3, { clipValue: 0.5 })) / expected).toBeCloseTo(1, 6);
    values[size - 1] = Number.NaN;
    expect(await factorOf([values], 1e-3, { clipValue: 0.5 })).toBeNaN();
  });

  test.each(['auto', 'reference'] as const)('%s: squares that overflow', async kernels => {
    const variable = tf.tidy(() => tf.variable(tf.zeros([3]), true, 'large'));
    const optimizer = compose({ learningRate: 1, groups: [{ use: sgd() }], clip: { globalNorm: 5 }, kernels });
    const gradient = tf.tensor1d([3e22, 0, -4e22]);
    optimizer.applyGradients({ large: gradient });
    const values = await variable.data();
    for (const [i, expected] of [-3, 0, 4].entries()) expect(values[i]).toBeCloseTo(expected, 5);
    optimizer.dispose();
    tf.dispose([variable, gradient]);
  });
});

describeOnDevice('the report', () => {
  test('tells of NaN and Inf wherever they are, and of the first gradient that has some', async () => {
    const check = newCheck();
    const limits = { onNonFinite: 'halt', clipValue: 1, globalNorm: 1 } as const;
    for (const size of [1, 3, 4, 255, 1028, 33_001, 33_004]) {
      for (const place of new Set([0, Math.floor(size / 2), size - 1])) {
        for (const bad of [Number.NaN, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY]) {
          const values = new Float32Array(size).fill(3e38);
          values[place] = bad;
          const gradient = tf.tensor1d(values);
          const found = check.check([{ id: 7, gradient }], size % 3 === 0 ? limits : { onNonFinite: 'halt' });
          expect((await check.report()).halted, `${bad} at ${place} of ${size}`).toBe(7);
          check.resume();
          tf.dispose([gradient, found.factor ?? [], found.proceed!]);
        }
      }
    }
    const [good, bad] = [tf.tensor1d([3e38, -3e38, 0]), tf.tensor1d([0, Number.NaN])];
    const many = Array.from({ length: 300 }, (_, id) => ({ id, gradient: [299, 271, 280].includes(id) ? bad : good }));
    check.check(many, { onNonFinite: 'halt' }).proceed!.dispose();
    expect((await check.report()).halted).toBe(271);
    check.dispose();
    tf.dispose([good, bad]);
  });

  test('tells of every update since the last one, however many there were', async () => {
    const check = newCheck();
    const [good, bad] = [tf.tensor1d([1, 2]), tf.tensor1d([1, Number.NaN])];
    const key = randomKey(8);
    let made = 0;
    // More than the device remembers, a report at a time, and once none at all.
    for (const count of [1, 31, 0, 2000, 2500]) {
      const expected = Array.from({ length: count }, (_, i) => randomUniform(key, made + i) < 0.3);
      for (const isBad of expected) {
        const found = check.check([{ id: 0, gradient: isBad ? bad : good }], { onNonFinite: 'skip' });
        found.proceed!.dispose();
      }
      made += count;
      expect((await check.report()).latest).toEqual(expected);
    }
    // One report too late: of the earliest it is known how many, not which.
    const late = 4096 + 40;
    for (let i = 0; i < late; i++) {
      check
        .check([{ id: 0, gradient: [3, 7, 39].includes(i) || i === late - 1 ? bad : good }], {
          onNonFinite: 'skip',
        })
        .proceed!.dispose();
    }
    const { latest } = await check.report();
    expect(latest).toHaveLength(late);
    expect(latest.flatMap((isSkipped, i) => (isSkipped ? [i] : []))).toEqual([0, 1, 2, late - 1]);
    check.dispose();
    tf.dispose([good, bad]);
  });
});
