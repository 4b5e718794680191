import { expressionRule, FrugalError, type Value } from '@frugaljs/core';
import { blockwise, rows, svd } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, describe, expect, test } from 'vitest';
import {
  type ComposedOptimizer,
  compose,
  compositionFromJson,
  drop,
  frugal,
  galore,
  recipe,
  recipes,
  residual,
  subspace,
} from '../src/index.js';
import { regression, valuesOf } from './fixtures.js';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

/** Runs `action`, expects a FrugalError of that code, and that no variable and no state has changed. */
function expectUnchanged(
  optimizer: ComposedOptimizer,
  variables: readonly tf.Variable[],
  code: string,
  message: RegExp,
  action: () => void,
): void {
  const before = { values: valuesOf(variables), updates: optimizer.updates, tensors: tf.memory().numTensors };
  let thrown: unknown;
  try {
    action();
  } catch (error) {
    thrown = error;
  }
  expect(thrown).toBeInstanceOf(FrugalError);
  expect((thrown as FrugalError).code).toBe(code);
  expect((thrown as FrugalError).message).toMatch(message);
  expect(valuesOf(variables)).toEqual(before.values);
  expect(optimizer.updates).toBe(before.updates);
  expect(tf.memory().numTensors).toBe(before.tensors);
}

describe('a bad gradient changes nothing', () => {
  const cases: readonly [string, string, RegExp, (name: string, g: tf.Tensor) => tf.NamedTensorMap][] = [
    ['unknown name', 'unknown-name', /gradient of "nobody": .*one of .*layers/, (_, g) => ({ nobody: g })],
    [
      'other shape',
      'shape-mismatch',
      /\[12,8\].*expected|expected a float32 tensor of shape \[8,12\]/,
      (name, g) => ({ [name]: tf.transpose(g) }),
    ],
    ['NaN', 'non-finite-gradient', /gradient of ".*up".*NaN or Inf/, (name, g) => ({ [name]: tf.mul(g, Number.NaN) })],
    ['Inf', 'non-finite-gradient', /gradient of ".*up".*NaN or Inf/, (name, g) => ({ [name]: tf.div(g, 0) })],
    [
      'missing',
      'missing-gradient',
      /gradient of ".*up": expected a tensor of shape \[8,12\], found null/,
      name => ({ [name]: null as unknown as tf.Tensor }),
    ],
  ];
  test.each(cases)('%s', (_, code, message, spoil) => {
    const problem = regression();
    const optimizer = frugal();
    optimizer.minimize(problem.loss, false, [...problem.variables]);
    const gradients = problem.gradients();
    const name = problem.variables[0]!.name;
    const bad = tf.tidy(() => ({ ...gradients, ...spoil(name, gradients[name]!) }));
    expectUnchanged(optimizer, problem.variables, code, message, () => optimizer.applyGradients(bad));
    for (const thing of [optimizer, problem]) thing.dispose();
  });

  test('disposed gradient and disposed variable', () => {
    const problem = regression();
    const optimizer = frugal();
    optimizer.minimize(problem.loss, false, [...problem.variables]);
    const gradients = problem.gradients();
    const spare = problem.gradients();
    tf.dispose(gradients);
    expectUnchanged(optimizer, problem.variables, 'disposed', /disposed tensor/, () =>
      optimizer.applyGradients(gradients),
    );
    problem.dispose();
    expectUnchanged(optimizer, [], 'disposed', /variable ".*up".*disposed/, () => optimizer.applyGradients(spare));
    optimizer.dispose();
    expect(() => optimizer.applyGradients(spare)).toThrow(/disposed optimizer/);
    tf.dispose(spare);
  });
});

test('skip leaves an update with NaN out and counts it; ignore lets NaN reach the weights', () => {
  const problem = regression();
  const poison = (): tf.NamedTensorMap => {
    const gradients = problem.gradients();
    return Object.fromEntries(Object.entries(gradients).map(([name, g]) => [name, tf.mul(g, Number.NaN)]));
  };
  const skipping = recipe('frugal', { onNonFinite: 'skip' });
  const before = valuesOf(problem.variables);
  skipping.applyGradients(poison());
  expect(valuesOf(problem.variables)).toEqual(before);
  expect([skipping.skippedUpdates, skipping.updates]).toEqual([1, 0]);
  skipping.minimize(problem.loss, false, [...problem.variables]);
  expect([skipping.skippedUpdates, skipping.updates]).toEqual([1, 1]);
  skipping.dispose();
  const ignoring = recipe('signSgd', { onNonFinite: 'ignore' });
  ignoring.applyGradients(poison());
  expect(problem.variables[0]!.dataSync().every(Number.isNaN)).toBe(true);
});

test('gradients whose sum overflows are finite gradients', () => {
  const w = tf.variable(tf.zeros([4]), true, 'huge');
  const optimizer = recipe('signSgd', { learningRate: 1 });
  optimizer.applyGradients({ huge: tf.tensor1d([3e38, 3e38, 3e38, -1]) });
  expect([...w.dataSync()]).toEqual([-1, -1, -1, 1]);
  optimizer.dispose();
  w.dispose();
});

test('two optimizers on one model', () => {
  const problem = regression();
  const first = frugal();
  first.minimize(problem.loss, false, [...problem.variables]);
  const second = recipe('adamW');
  second.minimize(problem.loss, false, [...problem.variables]);
  expectUnchanged(first, problem.variables, 'shared-variable', /\(adamW\) has taken over.*one compose\(\)/, () =>
    first.minimize(problem.loss, false, [...problem.variables]),
  );
  first.dispose();
  second.minimize(problem.loss, false, [...problem.variables]);
  expect(second.updates).toBe(2);
  for (const thing of [second, problem]) thing.dispose();
});

describe('parameters a composition cannot train', () => {
  const trySites = (optimizer: ComposedOptimizer, shape: number[], code: string, message: RegExp): void => {
    const w = tf.variable(tf.zeros(shape), true, `odd ${shape}`);
    expectUnchanged(optimizer, [w], code, message, () => {
      const g = tf.ones(shape);
      try {
        optimizer.applyGradients({ [w.name]: g });
      } finally {
        g.dispose();
      }
    });
    expect(() => optimizer.memoryReport([w])).toThrow(FrugalError);
    w.dispose();
    optimizer.dispose();
  };

  test('a tensor without elements', () => {
    trySites(recipe('adamW'), [0, 4], 'unsupported-shape', /\[0,4\] without elements.*frozen/);
  });
  test('a tensor of rank 3 under an SVD projector', () => {
    const everywhere = subspace({ projector: svd(), rule: adamW() });
    trySites(compose({ learningRate: 1, groups: [{ use: everywhere }] }), [2, 3, 4], 'unsupported-shape', /2,3,4|rank/);
  });
  test('a rank larger than the matrix', () => {
    trySites(galore({ rank: 7 }), [8, 6], 'invalid-option', /rank.*7|7.*rank/);
  });
  test('a parameter that no group takes', () => {
    const optimizer = compose({ learningRate: 1, groups: [{ match: /kernel/, use: adamW() }] });
    trySites(optimizer, [2, 2], 'invalid-option', /parameter "odd 2,2": expected a group.*last group without a match/);
  });
});

const OWN = { kind: 'own', options: {}, step: ({ g }: { g: Value }) => ({ direction: g }), state: () => ({}) };
const MISSPELLED = expressionRule<'m'>({
  kind: 'own',
  options: {},
  state: () => ({ m: { extent: 'elment' as never } }),
  step: ({ g, m }) => ({ direction: g, m }),
});

describe('options', () => {
  const w = { name: 'w', shape: [4, 4] };
  const cases: readonly [string, () => unknown, RegExp][] = [
    ['density above 1', () => rows({ density: 1.5 }), /rows\.density: expected a number in \[0, 1\], found 1\.5/],
    ['density NaN', () => frugal({ density: Number.NaN }), /density/],
    ['factory not called', () => compose({ learningRate: 1, groups: [{ use: adamW as never }] }), /Call the factory/],
    ['subspace without a rule', () => subspace({ projector: rows(), rule: signSgd as never }), /Call the factory/],
    [
      'refresh every 0',
      () => subspace({ projector: rows(), rule: adamW(), refresh: { every: 0 } }),
      /every.*at least 1/,
    ],
    ['no groups', () => compose({ learningRate: 1, groups: [] }), /at least one group/],
    [
      'catch-all before others',
      () => compose({ learningRate: 1, groups: [{ use: adamW() }, { use: adamW() }] }),
      /groups\[0\]\.match/,
    ],
    ['negative learning rate', () => compose({ learningRate: -1, groups: [{ use: adamW() }] }), /learningRate/],
    [
      'a learning rate in quotes',
      () => compose({ learningRate: '1e-3' as never, groups: [{ use: adamW() }] }),
      /learningRate: .*found the string "1e-3"\. Write the number 1e-3, without quotes/,
    ],
    ['a density in quotes', () => rows({ density: '0.5' as never }), /found the string "0\.5"\. Write the number/],
    [
      'a boolean in quotes',
      () => compose({ learningRate: 1, groups: [{ frozen: 'false' as never }] }),
      /string "false"/,
    ],
    [
      'an optimizer of tfjs for a rule',
      () => compose({ learningRate: 1, groups: [{ use: tf.train.adam(1e-3) as never }] }),
      /groups\[0\]\.use: .*This is an optimizer: compose makes the optimizer\. A rule is adamW\(\)/,
    ],
    [
      'a recipe for a rule',
      () => compose({ learningRate: 1, groups: [{ use: frugal() as never }] }),
      /groups\[0\]\.use: .*This is an optimizer: train with it as it is, or give its rule/,
    ],
    [
      'a projector for a rule',
      () => compose({ learningRate: 1, groups: [{ use: rows() as never }] }),
      /A projector goes into subspace\(\{ projector, rule \}\)/,
    ],
    [
      'the name of a rule',
      () => compose({ learningRate: 1, groups: [{ use: 'adamW' as never }] }),
      /found the string "adamW"\. Names are for recipes and JSON/,
    ],
    [
      'the JSON of a rule',
      () => compose({ learningRate: 1, groups: [{ use: { kind: 'adamW', options: {} } as never }] }),
      /This is the JSON of a rule: ruleFromJson/,
    ],
    [
      'a rule without kind',
      () =>
        compose({ learningRate: 1, groups: [{ use: expressionRule<never>({ ...OWN, kind: undefined as never }) }] }),
      /groups\[0\]\.use: expected kind: a name, and options: JSON, found a rule with kind undefined/,
    ],
    [
      'a rule without kind in a subspace',
      () => subspace({ projector: rows(), rule: expressionRule<never>({ ...OWN, kind: '' }) }),
      /subspace\.rule: expected kind: a name/,
    ],
    [
      'a combine without state',
      () => subspace({ projector: rows(), rule: adamW(), combine: { ...drop(), state: undefined } as never }),
      /subspace\.combine: expected a combine with state, found a combine drop without state\..* state: \(\) => \(\{\}\)/,
    ],
    [
      'a misspelled extent',
      () => compose({ learningRate: 1, groups: [{ use: MISSPELLED }] }).memoryReport([w]),
      /own\.state\.m\.extent: expected one of element, row, column, tensor.*, found elment\. Did you mean element\?/,
    ],
    [
      'report on a model of llama',
      () => frugal().memoryReport({ parameters: () => ({}) } as never),
      /Pass model\.parameters\(\)/,
    ],
    ['negative clip', () => recipe('adamW', { clip: { globalNorm: -1 } }), /clip\.globalNorm/],
    ['accumulate 0', () => recipe('adamW', { accumulate: 0 }), /accumulate/],
    ['misspelled option', () => recipe('adamW', { beta3: 1 }), /beta3/],
    ['rank and density', () => galore({ rank: 2, density: 0.5 }), /not both/],
    [
      'unmatched group',
      () => compose({ learningRate: 1, groups: [{ match: 'v', use: adamW() }, { use: adamW() }] }).memoryReport([w]),
      /groups\[0\]\.match: .*parameters w/,
    ],
    [
      'frozen group with a rule',
      () => compose({ learningRate: 1, groups: [{ frozen: true, use: adamW() }] }),
      /frozen/,
    ],
    // What users of other libraries try first.
    ['no options', () => compose(undefined as never), /compose: expected an object with the options learningRate/],
    ['a rate in the place of options', () => compose(0.1 as never), /compose: expected an object .*found 0\.1/],
    ['a rate for a rule', () => adamW(1e-3 as never), /adamW: expected an object .*found 0\.001/],
    ['a rate for a recipe', () => frugal(1e-3 as never), /frugal: expected an object .*found 0\.001/],
    ['a rate for a plain recipe', () => recipes.adamW(1e-3 as never), /recipe adamW: expected an object/],
    ['a density for a projector', () => rows(0.5 as never), /rows: expected an object .*found 0\.5/],
    ['a norm for clip', () => frugal({ clip: 1 as never }), /frugal\.clip: expected an object .*globalNorm, found 1/],
    [
      'a number for refresh',
      () => subspace({ projector: rows(), rule: adamW(), refresh: 200 as never }),
      /subspace\.refresh: expected an object .*every, growth, longest, stagger, when, found 200/,
    ],
    ['lr', () => frugal({ lr: 1 } as never), /Did you mean learningRate\?/],
    ['decay in a rule', () => adamW({ weightDecay: 0.1 } as never), /groups of compose.*weightDecay/],
    ['a function as schedule', () => compose({ learningRate: (() => 1) as never, groups: [] }), /Call a schedule/],
    [
      'a schedule that cannot be saved',
      () => compose({ learningRate: { at: () => 1 } as never, groups: [{ use: adamW() }] }),
      /learningRate: expected kind: .*found a schedule with kind undefined/,
    ],
    ['residual of a factory', () => residual(signSgd as never), /residual\.rule: .*write signSgd\(\)/],
    ['residual of nothing', () => residual(undefined as never), /residual\.rule/],
    ['projector not called', () => frugal({ projector: rows as never }), /projector: .*write rows\(\)/],
    ['rule of nothing', () => frugal({ stateFull: 5 as never }), /frugal\.stateFull: expected a rule .*found 5/],
    ['unknown rule', () => frugal({ stateFull: 'adam' }), /Did you mean adamW\?/],
    ['unknown projector', () => frugal({ projector: 'row' }), /Did you mean rows\?/],
    ['unknown recipe', () => recipe('frugl'), /Did you mean frugal\?/],
    [
      'misspelled condition, which would take everything',
      () => compose({ learningRate: 1, groups: [{ match: { names: 'v' } as never, use: adamW() }] }),
      /groups\[0\]\.match\.names: .*Did you mean name\?/,
    ],
    [
      'misspelled condition in a configuration',
      () =>
        compositionFromJson({ learningRate: 1, groups: [{ match: { nam: 'v' }, use: { kind: 'lion', options: {} } }] }),
      /match\.nam: .*Did you mean name\?/,
    ],
    [
      'match by a number',
      () => compose({ learningRate: 1, groups: [{ match: 3 as never, use: adamW() }] }),
      /groups\[0\]\.match: expected a name/,
    ],
    [
      'condition that is no pattern',
      () => compose({ learningRate: 1, groups: [{ match: { not: 3 as never }, use: adamW() }] }),
      /groups\[0\]\.match\.not: expected a name/,
    ],
    [
      'frozen that is no boolean',
      () => compose({ learningRate: 1, groups: [{ frozen: 'false' as never }] }),
      /groups\[0\]\.frozen: expected true or false/,
    ],
    ['report on nothing', () => frugal().memoryReport(undefined as never), /parameters: expected variables/],
    ['report on an unknown extent', () => frugal().memoryReport([{ name: 'w', shape: [null, 4] }]), /parameters\[0\]/],
    ['report on shapes', () => frugal().memoryReport([[4, 4]] as never), /parameters\[0\]: expected variables/],
    ['residual scale', () => residual(signSgd(), { scale: -1 }), /residual\.scale/],
    [
      'predicate in a configuration',
      () => compose({ learningRate: 1, groups: [{ match: () => true, use: adamW() }] }).getConfig(),
      /JSON can carry, found a function/,
    ],
  ];
  test.each(cases)('%s', (_, action, message) => {
    expect(action).toThrow(FrugalError);
    expect(action).toThrow(message);
  });
});

test.each([Number.NaN, -1, Number.POSITIVE_INFINITY, undefined])('a schedule that gives %s changes nothing', rate => {
  const problem = regression();
  const at = (update: number): number => (update === 1 ? (rate as number) : 0.1);
  const optimizer = compose({ learningRate: { kind: 'odd', options: {}, at }, groups: [{ use: adamW() }] });
  const step = (): void => void optimizer.minimize(problem.loss, false, [...problem.variables]);
  step();
  expectUnchanged(optimizer, problem.variables, 'invalid-option', /schedule odd, update 1: expected a number/, step);
  for (const thing of [optimizer, problem]) thing.dispose();
});

test.each<[string, (g: tf.Tensor) => unknown, string, RegExp]>([
  ['no gradients', () => ({}), 'missing-gradient', /applyGradients: expected the gradient of at least one variable/],
  ['an empty list', () => [], 'missing-gradient', /applyGradients: expected the gradient of at least one variable/],
  ['nothing', () => undefined, 'invalid-option', /applyGradients: expected tensors by the names/],
  ['a Map', g => new Map([['given', g]]), 'invalid-option', /found an instance of Map/],
  ['a tensor', g => g, 'invalid-option', /found an instance of Tensor/],
  ['tensors without names', g => [g], 'invalid-option', /a list in which something has no name/],
  ['numbers', () => ({ given: [[1, 1]] }), 'shape-mismatch', /gradient of "given": expected a float32 tensor/],
  ['all that variableGrads returns', g => ({ value: g, grads: { given: g } }), 'unknown-name', /Pass the grads/],
])('gradients that are %s change nothing', (_, spoil, code, message) => {
  const given = tf.variable(tf.ones([1, 2]), true, 'given');
  const g = tf.ones([1, 2]);
  const optimizer = frugal();
  expectUnchanged(optimizer, [given], code, message, () => optimizer.applyGradients(spoil(g) as never));
  optimizer.dispose();
  tf.dispose([given, g]);
});

test('a loss that is none is an error that says what to return', async () => {
  const problem = regression();
  const optimizer = frugal();
  const losses: readonly [unknown, RegExp][] = [
    [undefined, /minimize: expected a function that computes the loss.*found undefined/],
    [problem.loss(), /minimize: expected a function.*found an instance of Tensor\. Gradients need the computation/],
    [async () => problem.loss(), /loss of minimize: expected a scalar tensor, found a promise\. Await/],
    [() => Promise.reject(new Error('late')), /found a promise/],
    [() => undefined, /loss of minimize: expected a scalar tensor, found undefined\. Return the loss/],
    [() => tf.square(problem.variables[0]!), /found a tensor of shape \[8,12\]\. Take the mean or the sum/],
  ];
  for (const [loss, message] of losses) {
    expectUnchanged(optimizer, problem.variables, 'invalid-option', message, () => optimizer.minimize(loss as never));
  }
  await Promise.resolve();
  tf.dispose(losses[1]![0] as tf.Tensor);
  for (const thing of [optimizer, problem]) thing.dispose();
});

test.each([1, 2])(
  'a subspace with drop() says that a matrix with %i columns would not be trained, and recipes train it',
  units => {
    const w = tf.variable(tf.ones([16, units]), true, 'narrow');
    const g = tf.ones([16, units]);
    const use = subspace({ projector: svd({ density: 0.25 }), rule: adamW() });
    const optimizer = compose({ learningRate: 1, groups: [{ use }] });
    const message = /svd\(density 0\.25\) at "narrow": .*shape \[16,\d\]: .* comes to nothing of 16×\d.*plain rule/;
    expectUnchanged(optimizer, [w], 'unsupported-shape', message, () => optimizer.applyGradients({ narrow: g }));
    expect(() => optimizer.memoryReport([w])).toThrow(message);
    optimizer.dispose();
    const recipes = ['rows', 'columns', 'svd'].map(projector => frugal({ projector, density: 0.25, learningRate: 1 }));
    for (const other of [...recipes, galore({ density: 0.25, learningRate: 1 })]) {
      w.assign(tf.tidy(() => tf.ones([16, units])));
      other.applyGradients({ narrow: g });
      for (const value of w.dataSync()) expect(value).toBeCloseTo(0, 4);
      other.dispose();
    }
    tf.dispose([w, g]);
  },
);

test('a variable of integers is an error that names it', () => {
  const counter = tf.variable(tf.tensor1d([0], 'int32'), true, 'counter');
  const g = tf.ones([1]);
  const optimizer = frugal();
  const message = /variable "counter": expected a float32 variable, found .* int32\. .*trainable to false/;
  expectUnchanged(optimizer, [], 'shape-mismatch', message, () => optimizer.applyGradients({ counter: g }));
  counter.trainable = false;
  optimizer.applyGradients({ counter: null as unknown as tf.Tensor });
  optimizer.dispose();
  tf.dispose([counter, g]);
});

test('a variable in the place of its name is no match', () => {
  const v = tf.variable(tf.ones([2]), true, 'matched.v');
  const action = () => compose({ learningRate: 1, groups: [{ match: v as never, use: adamW() }] });
  expect(action).toThrow(/groups\[0\]\.match: .*Match by the name of the variable/);
  v.dispose();
});

test('a layer and its weights are no match, and are not printed whole', () => {
  const layer = tfl.layers.dense({ name: 'matched', units: 1, inputShape: [1] });
  tfl.sequential({ layers: [layer] });
  const named = (thing: string) => new RegExp(`^frugal\\.fullRank: .*found the ${thing}. Match by the name of the`);
  for (const layers of [layer, [layer]]) {
    expect(() => frugal({ fullRank: layers as never })).toThrow(named('layer "matched"'));
  }
  for (const weights of [layer.weights[0], layer.weights]) {
    expect(() => frugal({ fullRank: weights as never })).toThrow(named('weight "matched/kernel"'));
  }
});

test('a variable that is skipped for want of a gradient counts in its group all the same', () => {
  const [a, b] = ['skipped.a', 'skipped.b'].map(name => tf.variable(tf.ones([2, 2]), true, name)) as [
    tf.Variable,
    tf.Variable,
  ];
  const blocks = subspace({
    projector: blockwise({ density: 0.5, order: 'ascending' }),
    rule: adamW(),
    refresh: { every: 100 },
  });
  const optimizer = compose({ learningRate: 1, onMissingGradient: 'skip', groups: [{ use: blocks }] });
  const g = tf.ones([2, 2]);
  optimizer.applyGradients({ [a.name]: null as unknown as tf.Tensor, [b.name]: g });
  // Two blocks, of which the first is active: the second does not move.
  expect([...b.dataSync()]).toEqual([1, 1, 1, 1]);
  optimizer.applyGradients({ [a.name]: g, [b.name]: g });
  expect(a.dataSync()[0]).toBeCloseTo(0, 5);
  expect([...b.dataSync()]).toEqual([1, 1, 1, 1]);
  optimizer.dispose();
  tf.dispose([a, b, g]);
});
