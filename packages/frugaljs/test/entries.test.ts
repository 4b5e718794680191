import { expect, it } from 'vitest';
import * as cpu from '../src/cpu.js';
import * as wasm from '../src/index.js';
import * as node from '../src/node.js';
import * as webgpu from '../src/webgpu.js';

const { compose, residual, rows, signSgd, adamW, subspace, tf } = wasm;

it.each(['wasm', 'cpu'])('one import trains on %s, with fused kernels', async backend => {
  await tf.setBackend(backend);
  const matrix = tf.variable(tf.randomNormal([8, 16], 0, 0.1, 'float32', 1), true, `up-${backend}`);
  const input = tf.randomNormal<typeof tf.Rank.R2>([4, 8], 0, 1, 'float32', 2);
  const loss = () => tf.mean(tf.square(tf.sub(tf.matMul(input, matrix as never), 1))) as wasm.tf.Scalar;
  const use = subspace({ projector: rows({ density: 0.25 }), rule: adamW(), combine: residual(signSgd()) });
  const optimizer = compose({ learningRate: 1e-2, groups: [{ use }] });
  const before = loss().dataSync()[0]!;
  for (let i = 0; i < 20; i++) optimizer.minimize(loss);
  expect(loss().dataSync()[0]!).toBeLessThan(before / 2);
  expect(optimizer.explain().map(({ kernel }) => kernel)).not.toContain('reference');
});

it('entries differ only in the kernels they register and in how their backend starts', () => {
  const names = (entry: object, ...own: string[]) => Object.keys(entry).filter(name => !own.includes(name));
  expect(names(cpu)).toEqual(names(wasm));
  expect(names(node, 'loadTensorFlow')).toEqual(names(wasm));
  expect(names(webgpu, 'startWebGpu')).toEqual(names(wasm));
  expect(node.compose).toBe(wasm.compose);
});

it('holds the catalogues of all parts', async () => {
  const packages = [
    await import('@frugaljs/composer'),
    await import('@frugaljs/projectors'),
    await import('@frugaljs/state-free'),
    await import('@frugaljs/state-full'),
  ];
  const all = packages.flatMap(module => Object.keys(module));
  expect(Object.keys(wasm)).toEqual(expect.arrayContaining(all));
  expect(new Set(all).size, 'no name stands for two things').toBe(all.length);
});
