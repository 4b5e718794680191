import { describe, expect, it } from 'vitest';
import { CATALOG, defaultSettings } from '../src/catalog.js';
import { formatBytes } from '../src/page/format.js';
import type { Capabilities, OptimizerSettings } from '../src/protocol.js';
import { MovingAverage } from '../src/session/run.js';
import { isSampleStep } from '../src/session/session.js';
import { chooseBackend, describeBackend } from '../src/setup.js';
import { labels, outlineOf } from '../src/worker/optimizers.js';
import { tale, tales } from '../src/worker/text.js';
import { failureMessage } from '../src/worker/training-run.js';

const run = {
  model: 'nano',
  steps: 30,
  batchSize: 4,
  sequenceLength: 32,
  seed: 1,
  prompt: '',
  sampleLength: 10,
  backend: 'wasm',
} as const;

it.each([
  ['learningRate', -1, /^Learning rate: expected a number in \[0, Infinity\), found -1\.$/],
  ['density', 2, /^Density: expected a number in \[0, 1\], found 2\.$/],
  ['updateGap', 0.5, /^Update gap: expected an integer of at least 1, or Infinity, found 0\.5\.$/],
])('a mistake in %s is told by the label of its field', (field, value, message) => {
  const { problems } = outlineOf({ run, optimizers: [{ ...defaultSettings('frugal'), [field]: value }] }, null);
  expect(problems).toEqual([{ optimizer: 0, field, message: expect.stringMatching(message) }]);
});

describe('tales', () => {
  it('are the same every time, of some length, and mostly all different', () => {
    const told = tales(200_000);
    expect(told.join('').length).toBeGreaterThanOrEqual(200_000);
    expect(told[17]).toBe(tale(17));
    expect(new Set(told).size).toBeGreaterThan(0.99 * told.length);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: it is about what is plain ASCII
    expect(told.join('')).toMatch(/^[\x0a\x20-\x7e]*$/);
  });
});

describe('the outline of a setup', () => {
  it.each(CATALOG.map(({ recipe }) => recipe))('is sound for %s with its defaults, and so is its JSON', recipe => {
    const settings = defaultSettings(recipe);
    const outline = outlineOf({ run, optimizers: [settings] }, null);
    expect(outline.problems).toEqual([]);
    const [form] = outline.optimizers;
    const written: OptimizerSettings = { kind: 'json', title: 'written', json: form!.json };
    const again = outlineOf({ run, optimizers: [written] }, null);
    expect(again.problems).toEqual([]);
    expect(again.optimizers[0]!.memory).toEqual(form!.memory);
  });

  it('tells optimizers with the same settings apart', () => {
    const frugal = defaultSettings('frugal');
    expect(labels([frugal, { ...frugal, density: 0.5 }, frugal, { ...frugal, projector: 'svd' }])).toEqual([
      'FRUGAL ρ=0.25',
      'FRUGAL ρ=0.5',
      'FRUGAL ρ=0.25 (2)',
      'FRUGAL ρ=0.25 svd',
    ]);
  });
});

describe('the choice of a backend', () => {
  const on = (available: boolean, software: boolean, wasm = true): Capabilities => ({
    webgpu: { available, software, description: 'an adapter' },
    wasm,
  });

  it.each<[string, Capabilities, string]>([
    ['a graphics processor', on(true, false), 'webgpu'],
    ['an emulation', on(true, true), 'wasm'],
    ['nothing', on(false, false), 'wasm'],
  ])('by itself, with %s', (_, capabilities, expected) => {
    expect(chooseBackend('auto', capabilities)).toBe(expected);
  });

  it('keeps to what was asked for, or says why not', () => {
    expect(chooseBackend('webgpu', on(true, true))).toBe('webgpu');
    expect(describeBackend('webgpu', on(true, true))).toMatch(/slower/);
    expect(() => chooseBackend('webgpu', on(false, false))).toThrow(/WebGPU cannot be used: an adapter/);
    expect(() => chooseBackend('auto', on(false, false, false))).toThrow(/WebAssembly SIMD/);
  });
});

describe('a failure', () => {
  it('that comes of too little memory says what helps', () => {
    const heap = new WebAssembly.RuntimeError('memory access out of bounds');
    const array = new RangeError('Array buffer allocation failed');
    for (const error of [heap, array]) {
      expect(failureMessage(error)).toMatch(/^Most likely memory ran out \(.+\)\. Start again with a smaller model/);
    }
  });

  it('of another kind says what it says', () => {
    expect(failureMessage(new Error('memory of an elephant'))).toBe('memory of an elephant');
    expect(failureMessage(new WebAssembly.RuntimeError('unreachable'))).toBe('unreachable');
    expect(failureMessage('a string')).toBe('a string');
  });
});

describe('figures', () => {
  it.each([
    [0, '0\u00a0B'],
    [999, '999\u00a0B'],
    [1068, '1.07\u00a0kB'],
    [534_272, '534\u00a0kB'],
    [12_345_678, '12.3\u00a0MB'],
    [5e12, '5000\u00a0GB'],
  ])('%d bytes are %s', (bytes, text) => {
    expect(formatBytes(bytes)).toBe(text);
  });

  it('the moving average starts at the first value and forgets', () => {
    const average = new MovingAverage(4);
    expect(average.add(3)).toBe(3);
    expect(average.add(1)).toBeCloseTo((0.75 * 3 + 1) / 1.75, 12);
    for (let i = 0; i < 100; i++) average.add(2);
    expect(average.add(2)).toBeCloseTo(2, 10);
  });

  it('texts are sampled early, then now and then, and at the end', () => {
    const at = Array.from({ length: 130 }, (_, i) => i + 1).filter(step => isSampleStep(step, 130));
    expect(at).toEqual([10, 25, 50, 100, 130]);
  });
});
