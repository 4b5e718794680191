import { type ComposedOptimizer, compose, recipe, residual, subspace } from '@frugaljs/composer';
import { blockwise, columns } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import {
  dispose,
  disposeVariables,
  engine,
  fill,
  setBackend,
  tensor,
  type Variable,
  variable,
} from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, expect, it } from 'vitest';
import '@tensorflow/tfjs-backend-cpu';

const NAMES = ['layers.0.w', 'layers.1.w', 'layers.2.w', 'layers.3.w', 'layers.4.w'];

beforeAll(() => setBackend('cpu'));
afterEach(() => disposeVariables());

/** Which variables each step lists, in which order. */
type Lists = readonly (readonly string[])[];

/** Trains from the same start; saved and restored into another optimizer before the step `saveAt`. */
async function train(make: () => ComposedOptimizer, lists: Lists, saveAt = -1): Promise<number[][]> {
  disposeVariables();
  const variables: readonly Variable[] = NAMES.map(name => variable(fill([2, 4], 1), true, name));
  let optimizer = make();
  for (const [step, names] of lists.entries()) {
    if (step === saveAt) {
      const next = make();
      await next.setWeights(await optimizer.getWeights());
      optimizer.dispose();
      optimizer = next;
    }
    const gradients = names.map(name => ({ name, tensor: gradientOf(name, step) }));
    optimizer.applyGradients(gradients);
    dispose(gradients.map(each => each.tensor));
  }
  optimizer.dispose();
  expect(engine().registeredVariables).toHaveProperty([NAMES[0]!]);
  return variables.map(each => [...each.dataSync()]);
}

function gradientOf(name: string, step: number): ReturnType<typeof tensor> {
  const values = Array.from({ length: 8 }, (_, i) => ((NAMES.indexOf(name) * 37 + step * 11 + i * 5) % 13) / 7 - 0.8);
  return tensor(values, [2, 4]);
}

const steps = (count: number, names: (step: number) => readonly string[]): Lists =>
  Array.from({ length: count }, (_, step) => names(step));
const turned = [...NAMES].reverse();
const split = { rule: adamW(), combine: residual(signSgd()) };
const blocks = () =>
  compose({
    learningRate: 0.1,
    groups: [{ use: subspace({ ...split, projector: blockwise({ density: 0.4 }), refresh: { every: 2 } }) }],
  });
const turns = () =>
  compose({
    learningRate: 0.1,
    groups: [
      { use: subspace({ ...split, projector: columns({ density: 0.5 }), refresh: { every: 5, stagger: true } }) },
    ],
  });

it.each([
  ['badam', { switchEvery: 4, density: 0.5 }],
  ['frugal-blockwise', { updateGap: 4, density: 0.5 }],
] as const)('a layer that is unfrozen at step 6 is saved and restored: %s', async (name, options) => {
  const lists = steps(16, step => NAMES.filter((_, i) => i !== 1 || step >= 6));
  const make = (): ComposedOptimizer => recipe(name, { learningRate: 0.1, seed: 3, ...options });
  const whole = await train(make, lists);
  for (const saveAt of [7, 9, 11]) expect(await train(make, lists, saveAt)).toEqual(whole);
});

it.each([
  ['blocks', blocks],
  ['staggered refreshes', turns],
] as const)('gradients listed in another order give the same bits: %s', async (_, make) => {
  expect(
    await train(
      make,
      steps(12, () => turned),
    ),
  ).toEqual(
    await train(
      make,
      steps(12, () => NAMES),
    ),
  );
});

it('gradients of blocks listed in another order after a restore give the same bits', async () => {
  const lists = steps(14, step => (step >= 7 ? turned : NAMES));
  expect(await train(blocks, lists, 7)).toEqual(
    await train(
      blocks,
      steps(14, () => NAMES),
    ),
  );
});

it('a variable that joined late keeps its place when it is listed first after a restore', async () => {
  const late = steps(14, step => (step < 3 ? NAMES.slice(1) : NAMES));
  const first = steps(14, step => (step < 3 ? NAMES.slice(1) : step < 6 ? NAMES : turned));
  expect(await train(blocks, first, 6)).toEqual(await train(blocks, late));
  expect(await train(turns, first, 6)).toEqual(await train(turns, late));
});

it('the norm of all gradients is the same in every order', async () => {
  const make = () =>
    compose({ learningRate: 0.1, groups: [{ use: adamW() }], clip: { globalNorm: 0.1 }, kernels: 'reference' });
  expect(
    await train(
      make,
      steps(9, () => turned),
    ),
  ).toEqual(
    await train(
      make,
      steps(9, () => NAMES),
    ),
  );
});
