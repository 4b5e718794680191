import { conv3d, grads, type Tensor, type Tensor5D, tensor5d } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { it } from 'vitest';
import { randomFloats, sizeOf } from './compare.js';
import { expectNearCpu } from './geometry.js';

const volume = (shape: readonly number[], seed: number): Tensor5D =>
  tensor5d(randomFloats(sizeOf(shape), seed), shape as [number, number, number, number, number]);

const size = fc.integer({ min: 1, max: 5 });
const cases = fc.record({
  shape: fc.tuple(fc.integer({ min: 1, max: 2 }), size, size, size, fc.integer({ min: 1, max: 6 })),
  filter: fc.tuple(...[1, 2, 3].map(() => fc.integer({ min: 1, max: 3 })), fc.integer({ min: 1, max: 9 })),
  strides: fc.tuple(...[1, 2, 3].map(() => fc.integer({ min: 1, max: 3 }))),
  dilation: fc.integer({ min: 1, max: 2 }),
  pad: fc.constantFrom('same' as const, 'valid' as const),
  seed: fc.nat(),
});

it('conv3d and its gradients are those of the cpu backend', () =>
  fc.assert(
    fc.asyncProperty(cases, async ({ shape, filter, strides, pad, seed }) => {
      const [depth, height, width, filters] = filter as [number, number, number, number];
      fc.pre(pad === 'same' || [depth, height, width].every((extent, axis) => extent <= shape[axis + 1]!));
      const convolve = (x: Tensor, w: Tensor): Tensor =>
        conv3d(x as Tensor5D, w as Tensor5D, strides as [number, number, number], pad);
      await expectNearCpu(() => {
        const [x, w] = [volume(shape, seed), volume([depth, height, width, shape[4], filters], seed + 1)];
        const y = convolve(x, w);
        return [y, ...grads(convolve)([x, w], volume(y.shape, seed + 2))];
      });
    }),
  ));

it('conv3d with dilations is that of the cpu backend', () =>
  fc.assert(
    fc.asyncProperty(cases, async ({ shape, filter, dilation, seed }) => {
      const [depth, height, width, filters] = filter as [number, number, number, number];
      await expectNearCpu(() => {
        const [x, w] = [volume(shape, seed), volume([depth, height, width, shape[4], filters], seed + 1)];
        return conv3d(x, w, 1, 'same', 'NDHWC', dilation);
      });
    }),
    { numRuns: 30 },
  ));
