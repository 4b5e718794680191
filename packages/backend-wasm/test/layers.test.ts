import { grad, mul, setBackend, sum, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import { describe, expect, it } from 'vitest';
import {
  differenceOf,
  LAYER_ALIASES,
  LAYER_CASES,
  SINGLE_ON_CPU,
  trainLayer,
  UNTRAINABLE,
  WRONG_ON_CPU,
} from '../../../tools/test-support/layer-table.js';
import { ReadmeTables } from '../../../tools/test-support/readme-tables.js';
import { randomTensor } from './compare.js';

describe('layers', () => {
  it('all are in the table', () => {
    const names = Object.keys(layers).filter(name => /^[a-z]/.test(name) && !LAYER_ALIASES.includes(name));
    expect(Object.keys(LAYER_CASES).sort()).toEqual(names.sort());
  });

  it.each(Object.keys(LAYER_CASES).filter(name => !(name in UNTRAINABLE)))('%s trains', async name => {
    await setBackend('cpu');
    const expected = await trainLayer(name);
    expect(expected.changed).toBe(true);
    await setBackend('wasm');
    const difference = differenceOf(await trainLayer(name), expected);
    if (name in WRONG_ON_CPU) expect(difference).toMatch(/^differs from cpu by/);
    else expect(difference).toBeNull();
  });

  it.each(Object.keys(UNTRAINABLE))('%s trains on no backend', async name => {
    for (const backend of ['cpu', 'wasm']) {
      await setBackend(backend);
      await expect(trainLayer(name)).rejects.toThrow(UNTRAINABLE[name]!.error);
    }
  });

  it.each(Object.keys(SINGLE_ON_CPU))('%s trains on wasm in batches, on cpu by the example', async name => {
    await setBackend('cpu');
    const wrong = await trainLayer(name, { batch: 4 });
    await setBackend('wasm');
    expect(differenceOf(await trainLayer(name, { batch: 4 }), wrong)).toMatch(/differs from cpu/);
  });

  // These layers are linear, so that their gradient is their adjoint: ⟨f(x), dy⟩ = ⟨x, df(dy)⟩.
  it.each([
    ['averagePooling1d', layers.averagePooling1d({ poolSize: 3, strides: 2, padding: 'same' }), [3, 6, 2]],
    ['averagePooling2d', layers.averagePooling2d({ poolSize: 3, strides: 2, padding: 'same' }), [3, 6, 6, 2]],
    ['averagePooling3d', layers.averagePooling3d({ poolSize: 3, strides: 2, padding: 'same' }), [2, 4, 4, 4, 2]],
  ])('the gradient of %s with padding same is right on wasm, and not on cpu', async (_, layer, shape) => {
    const mismatch = (): number =>
      tidy(() => {
        const x = randomTensor(shape, 1);
        const f = (input: Tensor): Tensor => layer.apply(input) as Tensor;
        const y = f(x);
        const dy = randomTensor(y.shape, 2);
        const inner = (a: Tensor, b: Tensor): number => sum(mul(a, b)).dataSync()[0]!;
        return Math.abs(inner(y, dy) - inner(x, grad(f)(x, dy)));
      });
    await setBackend('wasm');
    expect(mismatch()).toBeLessThan(1e-5);
    await setBackend('cpu');
    expect(mismatch()).toBeGreaterThan(0.01);
  });

  it('are in the README with what they do', () => {
    const rows = new ReadmeTables(new URL('../README.md', import.meta.url)).titled('layer', 'cpu', 'wasm');
    const expected = Object.keys(LAYER_CASES).map(name => {
      const cell = name in UNTRAINABLE ? UNTRAINABLE[name]!.why : 'trains';
      return [name, SINGLE_ON_CPU[name] ?? cell, WRONG_ON_CPU[name] ?? cell];
    });
    expect(rows.map(row => row.slice(0, 3))).toEqual(expected);
  });
});
