import { listRecipes } from '@frugaljs/composer';
import { expect, test } from 'vitest';
import { parseMethods, tunedMethod } from '../src/comparison/method.js';

const length = { steps: 400, layers: 4 };
const method = (text: string) => tunedMethod(parseMethods(text)[0]!, length);

test('a list of methods is read with the options of each', () => {
  expect(parseMethods(' adamW, frugal:density=0:lr=2e-3,badam:unit=matrix ')).toEqual([
    { name: 'adamW', options: {} },
    { name: 'frugal', options: { density: 0, learningRate: 0.002 } },
    { name: 'badam', options: { unit: 'matrix' } },
  ]);
});

test.each(['', ' , ', 'adamW:lr', 'adamW:=3', 'adamW:lr='])('the list %o is an error', text => {
  expect(() => parseMethods(text)).toThrow(/^optimizers: expected/);
});

test('every recipe can be compared', () => {
  for (const name of listRecipes()) {
    const { label, recipe, learningRate } = method(name);
    expect(recipe).toBe(name);
    expect(label).not.toBe('');
    expect(learningRate).toBeGreaterThan(0);
  }
});

test('labels name the method and what was chosen about it', () => {
  const labels = ['adamW', 'frugal', 'frugal:density=0', 'frugal-svd', 'galore:rank=8', 'badam:lr=0.5'].map(
    text => method(text).label,
  );
  expect(labels).toEqual([
    'AdamW',
    'FRUGAL ρ=0.25',
    'FRUGAL ρ=0',
    'FRUGAL-svd ρ=0.25',
    'GaLore (rank 8)',
    'BAdam (lr 0.5)',
  ]);
});

test('subspaces change twenty times in a run, whatever its length', () => {
  const gaps = [1, 10, 400, 2000].map(steps => tunedMethod({ name: 'frugal', options: {} }, { steps, layers: 4 }));
  expect(gaps.map(({ options }) => options['updateGap'])).toEqual([1, 1, 20, 100]);
});

test("FRUGAL takes GaLore's subspace, unless it has none or another one is named", () => {
  const projectors = ['frugal', 'frugal:density=0', 'frugal:projector=columns', 'frugal-columns'].map(
    text => method(text).options['projector'],
  );
  expect(projectors).toEqual(['svd', undefined, 'columns', undefined]);
});

test("BAdam's blocks are layers, but matrices where a quarter of the layers is none", () => {
  expect(method('badam').options['unit']).toBe('layer');
  expect(tunedMethod({ name: 'badam', options: {} }, { steps: 400, layers: 2 }).options['unit']).toBe('matrix');
});

test('names are recognized in any case; others are listed', () => {
  expect(method('ADAMW').recipe).toBe('adamW');
  expect(() => method('adamax')).toThrow(/^optimizer: expected one of frugal, .*signSgd, found adamax/);
});

test('a misspelled option and a rate that is none are errors', () => {
  expect(() => method('frugal:densty=0.5')).toThrow(/frugal\.densty/);
  expect(() => method('frugal:density=2')).toThrow(/density/);
  expect(() => method('adamW:lr=fast')).toThrow(/adamW\.learningRate: expected a number/);
  expect(() => method('adamW:lr=-1')).toThrow(/adamW\.learningRate/);
});
