import '@frugaljs/backend-wasm';
import {
  avgPool,
  avgPool3d,
  grad,
  ones,
  setBackend,
  type Tensor,
  type Tensor4D,
  type Tensor5D,
  tensor,
} from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-layers';
import { beforeAll, expect, it } from 'vitest';

beforeAll(() => setBackend('wasm'));

const flat = (x: Tensor): number[] => Array.from(x.dataSync());

it.each([
  ['images', [1, 3, 3, 1], (x: Tensor): Tensor => avgPool(x as Tensor4D, 3, 1, 'same')],
  ['volumes', [1, 3, 3, 3, 1], (x: Tensor): Tensor => avgPool3d(x as Tensor5D, 3, 1, 'same')],
])('the gradients of averages of %s with padding same give each of them all of its weight', (_, shape, pool) => {
  const x = ones(shape);
  // Each average passes 1 on to what it is the average of.
  const total = flat(grad(pool)(x)).reduce((sum, each) => sum + each, 0);
  expect(total).toBeCloseTo(x.size, 4);
});

it('averages have sides rounded up where they are told to', () => {
  const x = tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], [1, 4, 4, 1]) as Tensor4D;
  const pool = (each: Tensor): Tensor => avgPool(each as Tensor4D, 3, 2, 0, 'ceil');
  expect(flat(pool(x))).toEqual([5, 6.5, 11, 12.5]);
  // The last window has the last entry and three others.
  expect(flat(grad(pool)(x)).at(-1)).toBe(1 / 4);
});

it('averages of windows that are no squares have a number as their padding', () => {
  const x = tensor([0, 1, 2, 3, 4, 5, 6, 7, 8], [1, 3, 3, 1]) as Tensor4D;
  const y = avgPool(x, [2, 3], 1, 1);
  expect(y.shape).toEqual([1, 4, 4, 1]);
  expect(flat(y)).toEqual([0.5, 1, 1.5, 2, 2, 2.5, 3, 3.5, 5, 5.5, 6, 6.5, 6.5, 7, 7.5, 8]);
});

it('an average of NaN is NaN', () => {
  const x = tensor([Number.NaN, 2, 3, 4], [1, 2, 2, 1]) as Tensor4D;
  expect(flat(avgPool(x, 2, 1, 'valid'))).toEqual([Number.NaN]);
});
