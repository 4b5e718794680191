import { FrugalError } from '@frugaljs/core';
import { STATE_FREE_RULES } from '@frugaljs/state-free';
import { STATE_FULL_RULES } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test, vi } from 'vitest';
import { type ComposedOptimizer, listRecipes, recipe, recipeOptions } from '../src/index.js';
import { BACKENDS } from './fixtures.js';

// Whatever is wrong with an option of a recipe, the error names it as the user wrote it.

beforeAll(async () => {
  await tf.setBackend(BACKENDS[0]!);
});

/** Of every option. */
const NOTHING = [null, { type: 'of no option' }];
const RULES = [...NOTHING, 'adam', { kind: 'adam', options: {} }, { kind: 'adamW', options: { beta1: 2 } }, 5];
const MATCHES = [...NOTHING, 5, [5], { minRank: -1 }, { name: 5 }, { nmae: 'w' }];

/** Wrong values that only some option is wrong with. */
const WRONG: Readonly<Record<string, readonly unknown[]>> = {
  learningRate: [
    '1e-3',
    -1,
    () => 1,
    { kind: 'cosin', options: {} },
    { kind: 'cosine', options: { peak: -1, steps: 5 } },
    { kind: 'cosine' },
  ],
  clip: [5, { value: -1 }, { globalNorm: 0 }, { norm: 1 }],
  projector: [
    'row',
    { kind: 'row', options: {} },
    { kind: 'rows', options: { density: 2 } },
    { kind: 'rows', options: null },
    'given',
    5,
  ],
  stateFull: RULES,
  stateFree: RULES,
  rule: RULES,
  adam: [5, 'beta2', { beta1: 2 }, { bta1: 0.5 }],
  projectable: MATCHES,
  fullRank: MATCHES,
  lastLayer: MATCHES,
  norms: MATCHES,
  rank: [-1, 0.5],
  density: [2, '0.5'],
  order: ['sideways'],
  unit: ['head'],
  outputAxis: ['output'],
};

function errorOf(action: () => unknown): FrugalError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(FrugalError);
    return error as FrugalError;
  }
  throw new Error('nothing was thrown');
}

/** The recipes with a projector in their name are `frugal` with it. */
const ownerOf = (name: string): string => (name.startsWith('frugal-') ? 'frugal' : name);

/** The options of the rule that a recipe is of, with their defaults. */
function ofRule(name: string): { readonly [option: string]: unknown } {
  const rule = [...STATE_FULL_RULES, ...STATE_FREE_RULES].find(({ kind }) => kind === name);
  const { per, ...rest } = rule?.factory({}).options ?? {};
  return name === 'adaLayer' || per === undefined ? rest : { per, ...rest };
}

/** Options of a recipe: those of its table, and those of its rule. */
const optionsOf = (name: string): readonly string[] => [
  ...new Set([...Object.keys(recipeOptions(name)), ...Object.keys(ofRule(name))]),
];

describe.each(listRecipes())('%s', name => {
  test.each(optionsOf(name))('a wrong %s is reported as such', option => {
    for (const value of [...NOTHING, ...(WRONG[option] ?? [])]) {
      // Some options of rules are null where there is none.
      if (value === null && ofRule(name)[option] === null) continue;
      for (const more of name === 'adaLayer' ? [{}, { adaptive: 'lastLayerAndNorms' }] : [{}]) {
        const error = errorOf(() => recipe(name, { ...more, [option]: value }).dispose());
        expect(`${error.parameter}.`, error.message).toMatch(new RegExp(`^${ownerOf(name)}\\.${option}\\.`));
        expect(error.message).toContain(`${error.parameter}: expected`);
      }
    }
  });

  test('a misspelled option is named, with the nearest', () => {
    const error = errorOf(() => recipe(name, { learningrate: 1 }));
    expect(error.parameter).toBe(`${ownerOf(name)}.learningrate`);
  });
});

test('what a part says about its own options explains the error', () => {
  expect(() => recipe('frugal', { stateFull: { kind: 'adamW', options: { beta1: 2 } } })).toThrow(
    'frugal.stateFull: expected a rule such as adamW(), its name or its JSON, ' +
      'found {"kind":"adamW","options":{"beta1":2}}. adamW.beta1: expected a number in [0, 1), found 2.',
  );
  expect(() => recipe('frugal-svd', { stateFree: 'signsg' })).toThrow(
    /^frugal\.stateFree: .*found signsg\. rule\.kind: expected one of .*Did you mean signSgd\?$/,
  );
  expect(errorOf(() => recipe('badam', { rule: 'nobody' })).code).toBe('unknown-name');
  expect(() => recipe('galore', { adam: { bta1: 0.5 } })).toThrow(/^galore\.adam: .*Did you mean beta1\?$/);
});

describe('a match that takes nothing is reported by its option', () => {
  const train = (optimizer: ComposedOptimizer, ...names: string[]): void => {
    const variables = names.map(each => tf.variable(tf.ones([4, 4]), true, each));
    try {
      for (let i = 0; i < 100; i++) {
        optimizer.applyGradients(Object.fromEntries(variables.slice(0, 1).map(each => [each.name, each])));
      }
    } finally {
      optimizer.dispose();
      tf.dispose(variables);
    }
  };

  test.each([
    ['frugal', { fullRank: 'hed' }, 'frugal.fullRank'],
    ['frugal-svd', { projectable: /nothing/ }, 'frugal.projectable'],
    ['galore', { fullRank: ['hed'], projectable: /bod/ }, 'galore.fullRank'],
    ['badam', { projectable: 'bdy' }, 'badam.projectable'],
    ['adaLayer', { adaptive: 'lastLayerAndNorms', lastLayer: 'hed' }, 'adaLayer.lastLayer'],
    ['adaLayer', { adaptive: 'lastLayerAndNorms', norms: 'hed' }, 'adaLayer.norms'],
  ])('%s: %o', (name, options, option) => {
    const error = errorOf(() => train(recipe(name, options), 'body', 'head'));
    expect(error.code).toBe('unmatched-group');
    expect(error.parameter).toBe(option);
    expect(error.message).toMatch(new RegExp(`Mend ${option}, or leave it out\\.$`));
    expect(error.message).not.toContain('groups');
  });

  test('where another option has what it means', () => {
    const error = errorOf(() => train(recipe('frugal', { fullRank: 'body', projectable: /bod/ }), 'body', 'head'));
    expect(error.message).toMatch(
      /^frugal\.projectable: .*frugal\.fullRank matches body and comes first: leave it out of one of the two\.$/,
    );
  });

  test('as a warning where its variables have no gradient', () => {
    const warned = vi.spyOn(console, 'warn').mockImplementation(() => {});
    train(recipe('frugal', { fullRank: 'head' }), 'body', 'head');
    expect(warned.mock.calls.flat()).toEqual([
      expect.stringMatching(/^frugal\.js: frugal\.fullRank: "head" has taken/),
    ]);
    warned.mockRestore();
  });

  test('also in a configuration that cannot be saved, and not in JSON', () => {
    const optimizer = recipe('frugal', { projectable: () => true });
    expect(() => optimizer.toJSON()).toThrow(/^frugal\.projectable: expected .*found a function/);
    optimizer.dispose();
    const named = recipe('frugal', { fullRank: 'head' });
    expect(Object.keys((named.toJSON()['groups'] as object[])[0]!)).toEqual(['match', 'use']);
    named.dispose();
  });
});
