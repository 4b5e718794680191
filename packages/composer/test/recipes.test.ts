import { Console } from 'node:console';
import { Writable } from 'node:stream';
import { type Json, matrixView, sizeOf } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { type ComposedOptimizer, fira, frugal, listRecipes, recipe } from '../src/index.js';
import { BACKENDS, regression, valuesOf } from './fixtures.js';

const SETTINGS: Readonly<Record<string, { readonly [key: string]: Json }>> = {
  'frugal-blockwise': { density: 0.5 },
  galore: { density: 0.5, updateGap: 4 },
  badam: { density: 0.5, switchEvery: 3 },
};

function make(name: string, more: { readonly [key: string]: Json } = {}): ComposedOptimizer {
  const gap = name.startsWith('frugal') ? { updateGap: 3 } : {};
  return recipe(name, { learningRate: 0.01, ...gap, ...SETTINGS[name], ...more });
}

describe.each(BACKENDS)('recipes on %s', backend => {
  test.each(listRecipes())('%s lowers the loss, keeps the memory it announced and leaks nothing', async name => {
    await tf.setBackend(backend);
    const atStart = tf.memory().numTensors;
    const problem = regression();
    const optimizer = make(name);
    const withProblem = tf.memory();
    const losses: number[] = [];
    const counts: number[] = [];
    for (let i = 0; i < 14; i++) {
      const announced = optimizer.memoryReport(problem.variables).totalStateBytes;
      const cost = optimizer.minimize(problem.loss, true, [...problem.variables])!;
      losses.push(cost.dataSync()[0]!);
      cost.dispose();
      expect(tf.memory().numBytes - withProblem.numBytes).toBe(announced);
      counts.push(tf.memory().numTensors);
    }
    expect(losses.at(-1)!).toBeLessThan(losses[0]!);
    if (name !== 'badam' && name !== 'frugal-blockwise') expect(new Set(counts).size).toBe(1);
    else expect(counts.slice(6)).toEqual(counts.slice(0, 8).map((_, i) => counts[i + 6]));
    optimizer.dispose();
    expect(tf.memory().numTensors).toBe(withProblem.numTensors);
    problem.dispose();
    expect(tf.memory().numTensors).toBe(atStart);
  });

  test.each(listRecipes())('%s continues bit for bit after getWeights and setWeights', async name => {
    await tf.setBackend(backend);
    const whole = regression(2, 'same names');
    const uninterrupted = make(name, { accumulate: 2 });
    for (let i = 0; i < 22; i++) uninterrupted.minimize(whole.loss, false, [...whole.variables]);
    const expected = valuesOf(whole.variables);
    uninterrupted.dispose();
    whole.dispose();

    const halves = regression(2, 'same names');
    const first = make(name, { accumulate: 2 });
    for (let i = 0; i < 11; i++) first.minimize(halves.loss, false, [...halves.variables]);
    const second = recipe(name, {});
    const restored = second.constructor as unknown as {
      fromConfig(cls: unknown, config: tf.serialization.ConfigDict): ComposedOptimizer;
    };
    second.dispose();
    const continued = restored.fromConfig(restored, first.getConfig());
    await continued.setWeights(await first.getWeights());
    first.dispose();
    for (let i = 11; i < 22; i++) continued.minimize(halves.loss, false, [...halves.variables]);

    expect(continued.updates).toBe(11);
    expect(valuesOf(halves.variables)).toEqual(expected);
    for (const thing of [continued, halves]) thing.dispose();
  });
});

test('listRecipes filters by pattern and recipe rejects unknown names', () => {
  expect(listRecipes('frugal*')).toEqual(listRecipes().filter(name => name.startsWith('frugal')));
  expect(listRecipes('*layer*')).toEqual(['adaLayer']);
  expect(listRecipes('layer')).toEqual([]);
  expect(listRecipes('ada?ayer')).toEqual([]);
  expect(() => recipe('adam', {})).toThrow(/adam.*|one of frugal/);
  expect(() => recipe('frugal', { densty: 0.5 })).toThrow(/frugal\.densty/);
  expect(() => recipe('constructor')).toThrow(/recipe: expected one of/);
});

test('a memory report prints as a table of its rows', () => {
  const optimizer = recipe('adamW');
  const report = optimizer.memoryReport([
    { name: 'w', shape: [2, 3] },
    { name: 'temperature', shape: [] },
  ]);
  const printed: string[] = [];
  const stream = new Writable({
    write: (chunk, _, done) => {
      printed.push(String(chunk));
      done();
    },
  });
  new Console(stream).table(report);
  const [, headings, , ...rows] = printed.join('').trim().split('\n');
  const cells = (line: string): string[] => line.split('│').map(cell => cell.trim());
  expect(cells(headings!).slice(1, -1)).toEqual(['(index)', ...Object.keys(report[0]!)]);
  expect(rows.slice(0, -1).map(row => cells(row).slice(2, 4))).toEqual([
    ["'w'", "'2×3'"],
    ["'temperature'", "'scalar'"],
  ]);
  expect(JSON.parse(JSON.stringify(report))).toEqual([...report]);
  expect(report.totalStateBytes).toBe(8 * 7);
});

test('a memory report of a block-wise method follows the blocks', () => {
  const optimizer = recipe('frugal-blockwise', { density: 0.5, updateGap: 10 });
  const parameters = [0, 1, 2, 3].map(i => ({ name: `layers.${i}.w`, shape: [4, 4 + i] }));
  const totals = [0, 10, 20].map(update => optimizer.memoryReport(parameters, { update }).totalStateBytes);
  for (const total of totals) {
    const sizes = parameters.map(({ shape }) => 8 * sizeOf(shape));
    const pairs = sizes.flatMap((a, i) => sizes.slice(i + 1).map(b => a + b));
    expect(pairs).toContain(total);
  }
  expect(matrixView([4, 5])).toEqual([4, 5]);
});

test('output layers of tf.layers are known by the names that people give them, hidden ones of transformers are not', () => {
  const optimizer = frugal();
  const ruleOf = (name: string): string => optimizer.memoryReport([{ name, shape: [8, 8] }])[0]!.rule;
  for (const name of [
    'output/kernel',
    'output/kernel_1',
    'predictions_2/kernel',
    'tower/head/kernel',
    'softmax/kernel',
  ])
    expect(ruleOf(name)).toBe('adamW');
  for (const name of [
    'hidden/kernel',
    'headwind/kernel',
    'bert.encoder.layer.0.output.dense.weight',
    'dense_Dense3/kernel',
  ])
    expect(ruleOf(name)).toMatch(/^subspace/);
  optimizer.dispose();
});

test('α of fira is on the step in the subspace and in the residual, above 1 too', () => {
  for (const scale of [0.25, 1.5]) {
    const optimizer = fira({ scale });
    expect(JSON.stringify(optimizer)).toContain(`"scale":${scale},"share":${scale}`);
    optimizer.dispose();
  }
});
