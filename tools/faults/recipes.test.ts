import { listRecipes, recipe } from '@frugaljs/composer';
import { PROJECTORS } from '@frugaljs/projectors';
import '@tensorflow/tfjs-backend-cpu';
import { setBackend } from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';

beforeAll(() => setBackend('cpu'));

it('a recipe is listed with its projector spelled as projectors are', () => {
  const named = listRecipes('frugal-*').map(name => name.slice('frugal-'.length));
  expect(named.filter(projector => !Object.hasOwn(PROJECTORS, projector))).toEqual([]);
  for (const name of ['frugal-randk', 'frugal-randK']) recipe(name).dispose();
});

it.each([
  ['frugal', { stateFull: 'adam' }, 'stateFull'],
  ['frugal', { projector: 'row' }, 'projector'],
  ['frugal', { clip: { value: -1 } }, 'clip.value'],
  ['adamW', { learningRate: -1 }, 'learningRate'],
  ['adamW', { weightDecay: -1 }, 'weightDecay'],
  ['badam', { unit: 'head' }, 'unit'],
  ['adaLayer', { adaptive: 'lastLayerAndNorms', lastLayer: 5 }, 'lastLayer'],
])('a wrong option of a recipe is reported by its name: %s %o', (name, options, option) => {
  expect(() => recipe(name, options)).toThrow(`${name}.${option}: expected`);
});

it('a projectable that takes nothing is reported by its name', () => {
  const optimizer = recipe('frugal', { projectable: 'of-nothing' });
  expect(() => optimizer.memoryReport([{ name: 'w', shape: [4, 4] }])).toThrow('frugal.projectable: expected');
  optimizer.dispose();
});
