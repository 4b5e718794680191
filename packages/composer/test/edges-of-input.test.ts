import { FrugalError, InvalidOptionError, joined, type Projector } from '@frugaljs/core';
import { given, rows } from '@frugaljs/projectors';
import { sgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import '@tensorflow/tfjs-backend-cpu';
import { ones, setBackend, variable, zeros } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  badam,
  combineFromJson,
  compose,
  frugal,
  galore,
  listRecipes,
  projectorFromJson,
  recipe,
  registerRule,
  ruleFromJson,
  subspace,
} from '../src/index.js';

beforeAll(async () => void (await setBackend('cpu')));

test('recipes keep the first subspace for ever with an interval of Infinity', () => {
  const everies = [
    frugal({ updateGap: Number.POSITIVE_INFINITY }),
    galore({ updateGap: Number.POSITIVE_INFINITY }),
    badam({ switchEvery: Number.POSITIVE_INFINITY }),
  ].map(optimizer => optimizer.memoryReport([{ name: 'layers.0.up', shape: [8, 8] }])[0]!.rule);
  for (const rule of everies) expect(rule).toContain('every ∞');
  expect(() => frugal({ updateGap: 1.5 })).toThrow(
    'frugal.updateGap: expected an integer of at least 1, or Infinity, found 1.5',
  );
});

test('a projector in JavaScript that asks for the epoch is told the new name', () => {
  const projector = rows({ density: 0.5 });
  const old = {
    ...projector,
    fit: (g: never, previous: never, context: { epoch: number }) => {
      const { epoch } = context;
      return projector.fit(g, previous, { ...context, refreshIndex: epoch } as never);
    },
  } as unknown as Projector;
  const w = variable(zeros([4, 2]), true, 'of-old');
  const optimizer = compose({ learningRate: 0.1, groups: [{ use: subspace({ projector: old, rule: adamW() }) }] });
  expect(() => optimizer.applyGradients({ 'of-old': ones([4, 2]) })).toThrow(
    /context\.epoch: expected context\.refreshIndex/,
  );
  optimizer.dispose();
  w.dispose();
});

test('a variable that is listed twice is an error before anything changes', () => {
  const w = variable(zeros([2]), true, 'listed');
  const optimizer = compose({ learningRate: 1, groups: [{ use: sgd() }] });
  const tensor = ones([2]);
  expect(() =>
    optimizer.applyGradients([
      { name: 'listed', tensor },
      { name: 'listed', tensor },
    ]),
  ).toThrow(/gradient of "listed": expected one gradient for each variable/);
  expect(Array.from(w.dataSync())).toEqual([0, 0]);
  expect(optimizer.updates).toBe(0);
  optimizer.dispose();
  w.dispose();
});

describe('nothing and numbers in the place of structures', () => {
  const wrong = null as never;
  test.each<[string, () => unknown]>([
    ['recipe options', () => recipe('frugal', wrong)],
    ['recipe options of a plain recipe', () => recipe('lion', wrong)],
    ['a rule', () => ruleFromJson(wrong)],
    ['a projector', () => projectorFromJson(wrong)],
    ['a combine', () => combineFromJson(wrong)],
    ['options of a rule', () => ruleFromJson({ kind: 'adamW', options: 3 as never })],
    ['a pattern', () => listRecipes(wrong)],
    ['a pattern that is a number', () => listRecipes(3 as never)],
    ['options of given', () => given(wrong)],
    ['parts of a schedule', () => joined(3 as never)],
    ['a kind', () => registerRule(wrong, adamW)],
    ['a factory', () => registerRule('mine', wrong)],
  ])('%s', (_, make) => {
    expect(make).toThrow(InvalidOptionError);
  });

  test('state', async () => {
    const optimizer = compose({ learningRate: 1, groups: [{ use: sgd() }] });
    await expect(optimizer.setWeights(wrong)).rejects.toThrow(FrugalError);
    optimizer.dispose();
  });
});
