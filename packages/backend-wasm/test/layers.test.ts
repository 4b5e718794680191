import { setBackend } from '@tensorflow/tfjs-core';
import { layers } from '@tensorflow/tfjs-layers';
import { describe, expect, it } from 'vitest';
import {
  differenceOf,
  LAYER_ALIASES,
  LAYER_CASES,
  SINGLE_ON_CPU,
  trainLayer,
  UNTRAINABLE,
} from '../../../tools/test-support/layer-table.js';
import { ReadmeTables } from '../../../tools/test-support/readme-tables.js';
import './compare.js';

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
    expect(differenceOf(await trainLayer(name), expected)).toBeNull();
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

  it('are in the README with what they do', () => {
    const rows = new ReadmeTables(new URL('../README.md', import.meta.url)).titled('layer', 'cpu', 'wasm');
    const expected = Object.keys(LAYER_CASES).map(name => {
      const cell = name in UNTRAINABLE ? UNTRAINABLE[name]!.why : 'trains';
      return [name, SINGLE_ON_CPU[name] ?? cell, cell];
    });
    expect(rows.map(row => row.slice(0, 3))).toEqual(expected);
  });
});
