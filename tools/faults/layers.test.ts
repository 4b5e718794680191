import '@frugaljs/backend-wasm';
import { frugal } from '@frugaljs/composer';
import { fill, ones, setBackend, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { layers, sequential } from '@tensorflow/tfjs-layers';
import { beforeAll, expect, it } from 'vitest';

beforeAll(() => setBackend('wasm'));

const image = { inputShape: [6, 6, 2], filters: 3, kernelSize: 3 };

it.each([
  ['conv1d', () => layers.conv1d({ inputShape: [9, 2], filters: 3, kernelSize: 3 })],
  ['conv2d', () => layers.conv2d(image)],
  ['separableConv2d', () => layers.separableConv2d(image)],
  ['conv2dTranspose', () => layers.conv2dTranspose({ ...image, strides: 2 })],
  ['depthwiseConv2d', () => layers.depthwiseConv2d({ inputShape: [6, 6, 2], kernelSize: 3 })],
])('a model with %s trains on wasm', async (_, layer) => {
  const model = sequential({ layers: [layer(), layers.flatten(), layers.dense({ units: 1 })] });
  model.compile({ optimizer: frugal({ learningRate: 0.001 }), loss: 'meanSquaredError' });
  // From chance weights that fit already, steps could lead away.
  tidy(() => model.setWeights(model.getWeights().map(({ shape }) => fill(shape, 0.01))));
  const x = tidy(() => ones([4, ...model.inputs[0]!.shape.slice(1)] as number[]));
  const y: Tensor = ones([4, 1]);
  const losses: number[] = [];
  for (let step = 0; step < 4; step++) losses.push((await model.trainOnBatch(x, y)) as number);
  expect(losses.at(-1)).toBeLessThan(losses[0]!);
});
