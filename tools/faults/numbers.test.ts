import '@frugaljs/backend-wasm';
import { type ComposeOptions, compose, residual, subspace } from '@frugaljs/composer';
import { randomKey, randomNormals, soleSite } from '@frugaljs/core';
import { leadingSubspace } from '@frugaljs/linalg';
import { svd } from '@frugaljs/projectors';
import { sgd } from '@frugaljs/state-free';
import { adamW, rmsprop } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, expect, it } from 'vitest';
import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';

beforeAll(async () => {
  await tf.setBackend('wasm');
  await tf.ready();
});
afterEach(() => tf.disposeVariables());

const normals = (shape: number[], key: number): tf.Tensor =>
  tf.tensor(
    randomNormals(
      randomKey(key),
      shape.reduce((a, b) => a * b, 1),
    ),
    shape,
  );

/** The weights after some steps, from zeros. */
function stepped(
  use: ComposeOptions['groups'][number]['use'],
  gradients: tf.Tensor[],
  more: object = {},
): Float32Array {
  const w = tf.variable(tf.zeros(gradients[0]!.shape), true, 'w');
  const optimizer = compose({ learningRate: 0.1, groups: [{ use: use! }], ...more });
  for (const g of gradients) optimizer.applyGradients({ w: g });
  return w.dataSync() as Float32Array;
}

it('an infinite gradient is refused under throw, although entries and norm are limited', () => {
  const gradient = tf.tensor1d([Number.POSITIVE_INFINITY, 1, 1]);
  expect(() => stepped(sgd(), [gradient], { clip: { value: 1, globalNorm: 1 } })).toThrow('NaN or Inf');
});

/** How far the columns of a matrix are from orthonormal. */
function orthonormalityError(basis: tf.Tensor2D): number {
  const gram = tf.matMul(basis, basis, true);
  return tf.max(tf.abs(tf.sub(gram, tf.eye(basis.shape[1])))).dataSync()[0]!;
}

it('singular vectors of a gradient of rank 1 and of size 1e-36 are orthonormal', () => {
  const [u, v] = [normals([64], 1), normals([64], 2)];
  const g = tf.mul(tf.outerProduct(u as tf.Tensor1D, v as tf.Tensor1D), 1e-36);
  const basis = leadingSubspace(g as tf.Tensor2D, 'right', { rank: 16, method: 'exact' });
  expect(orthonormalityError(basis)).toBeLessThan(1e-4);
});

it.each([1e-38, 1e-40, 1e-44])('randomized singular vectors of a gradient of size %d are orthonormal', size => {
  const [u, v] = [normals([64], 1), normals([64], 2)];
  for (const g of [normals([40, 24], 3), tf.outerProduct(u as tf.Tensor1D, v as tf.Tensor1D)]) {
    for (const side of ['left', 'right'] as const) {
      const basis = leadingSubspace(tf.mul(g, size) as tf.Tensor2D, side, { rank: 5, method: 'randomized' });
      expect(orthonormalityError(basis)).toBeLessThan(1e-4);
    }
  }
});

it('a gradient of which no singular vectors can be taken leaves the parameters beside it as they were', () => {
  const [a, b] = ['a', 'b'].map(name => tf.variable(tf.ones([8, 8]), true, name));
  const groups = [{ match: { name: 'b' }, use: subspace({ projector: svd(), rule: adamW() }) }, { use: sgd() }];
  const optimizer = compose({ learningRate: 1, groups, onNonFinite: 'ignore' });
  const gradients = { a: tf.ones([8, 8]), b: tf.fill([8, 8], Number.NaN) };
  expect(() => optimizer.applyGradients(gradients)).toThrow('singular vectors');
  expect(new Set([...a!.dataSync(), ...b!.dataSync()])).toEqual(new Set([1]));
});

it('a clipped norm rescues gradients of 1e38 in a dense subspace', () => {
  const use = subspace({ projector: svd(), rule: adamW(), combine: residual(sgd()) });
  const g = tf.fill([64, 48], 1e38);
  const [fused, reference] = (['auto', 'reference'] as const).map(kernels => {
    const values = stepped(use, [g], { clip: { globalNorm: 1 }, kernels });
    tf.disposeVariables();
    return values;
  });
  expect(fused!.every(Number.isFinite)).toBe(true);
  const errors = fused!.map((x, i) => Math.abs(x - reference![i]!));
  expect(Math.max(...errors)).toBeLessThan(1e-4);
});

it('centered RMSprop takes a gradient of 1e25', () => {
  const values = stepped(rmsprop({ centered: true }), [tf.tensor1d([1e25, 1])]);
  expect([...values].every(Number.isFinite)).toBe(true);
});

it('a loss that throws in minimize leaves no tensor behind', () => {
  const w = tf.variable(tf.ones([3]), true, 'w');
  const optimizer = compose({ learningRate: 0.1, groups: [{ use: sgd() }] });
  const before = tf.memory().numTensors;
  const loss = (): tf.Scalar => {
    tf.square(w);
    throw new Error('no loss');
  };
  expect(() => optimizer.minimize(loss, false, [w])).toThrow('no loss');
  expect(tf.memory().numTensors).toBe(before);
  expect(() => optimizer.minimize(() => tf.square(w) as never, false, [w])).toThrow();
  expect(() => optimizer.minimize(() => tf.scalar(3), false, [w])).toThrow();
  expect(tf.memory().numTensors).toBe(before);
});

it.each([
  ['a counter below 0', 'w::t', -1],
  ['a second moment below 0', 'w::v', -1],
  ['a moment that is NaN', 'w::m', Number.NaN],
])('setWeights refuses %s, by the name of its slot', async (_, slot, value) => {
  const w = tf.variable(tf.ones([3]), true, 'w');
  const optimizer = compose({ learningRate: 0.1, groups: [{ use: adamW() }] });
  optimizer.applyGradients({ w: tf.ones([3]) });
  const saved = (await optimizer.getWeights()).map(({ name, tensor }) => {
    return { name, tensor: name === slot ? tf.fill(tensor.shape, value, tensor.dtype as 'float32') : tensor.clone() };
  });
  expect(saved.map(({ name }) => name)).toContain(slot);
  await expect(optimizer.setWeights(saved)).rejects.toThrow(slot);
  expect(w.isDisposed).toBe(false);
});

it('singular vectors that move slowly keep their signs, so that kept momentum stays theirs', () => {
  const [size, steps] = [8, 32];
  const projector = svd({ rank: 2, method: 'exact', side: 'right' });
  const site = soleSite('w', [size, size]);
  let before: tf.Tensor | null = null;
  for (let refreshIndex = 0; refreshIndex < steps; refreshIndex++) {
    const angle = (2 * Math.PI * refreshIndex) / steps;
    const [c, s] = [Math.cos(angle), Math.sin(angle)];
    // Two directions that go around once.
    const rows = Array.from({ length: size }, (_, i) => {
      const row = new Array<number>(size).fill(0);
      const [from, length] = [i % 2 === 0 ? 0 : 4, i % 2 === 0 ? 3 : 1];
      row[from] = length * c;
      row[from + 1] = length * s;
      return row;
    });
    const previous = before === null ? null : ({ right: before } as never);
    const { right } = projector.fit(tf.tensor2d(rows), previous, { site, refreshIndex }) as { right: tf.Tensor };
    if (before !== null) {
      for (const cosine of tf.sum(tf.mul(before, right), 0).dataSync()) expect(cosine).toBeGreaterThan(0.9);
    }
    before = right;
  }
});
