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
