import { listRecipes, recipe } from '@frugaljs/composer';
import { PROJECTORS } from '@frugaljs/projectors';
import '@tensorflow/tfjs-backend-cpu';
import { dispose, memory, ones, setBackend, variable } from '@tensorflow/tfjs-core';
import { beforeAll, expect, it } from 'vitest';

beforeAll(() => setBackend('cpu'));

it('a recipe is listed with its projector spelled as projectors are', () => {
  const named = listRecipes('frugal-*').map(name => name.slice('frugal-'.length));
  expect(named.filter(projector => !Object.hasOwn(PROJECTORS, projector))).toEqual([]);
  for (const name of ['frugal-randk', 'frugal-randK']) recipe(name).dispose();
});

it('the memory report of an optimizer that lost its variables to another one is of what it holds', () => {
  const w = variable(ones([4, 4]), true, 'lost');
  const before = memory().numBytes;
  const one = ones([4, 4]);
  const [old, next] = [recipe('adamW'), recipe('lion')];
  old.applyGradients({ lost: one });
  next.applyGradients({ lost: one });
  next.dispose();
  one.dispose();
  expect(old.memoryReport([w]).totalStateBytes).toBe(memory().numBytes - before);
  old.dispose();
  dispose(w);
});
