import * as composer from '@frugaljs/composer';
import { compose, recipe, residual, subspace } from '@frugaljs/composer';
import { type ExpressionRule, expressionRule } from '@frugaljs/core';
import * as projectors from '@frugaljs/projectors';
import { columns, rows } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW, muon } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import '@tensorflow/tfjs-backend-cpu';

beforeAll(() => tf.setBackend('cpu'));
afterEach(() => tf.disposeVariables());

type Optimizer = ReturnType<typeof compose>;

/** Trains variables of these shapes with random gradients; which of them have never moved. */
function unmoved(optimizer: Optimizer, shapes: readonly number[][], steps = 8): string[] {
  const variables = shapes.map((shape, i) => tf.variable(tf.ones(shape), true, `layers.${i}.w`));
  const moved = new Set<string>();
  for (let i = 0; i < steps; i++) {
    const gradients = Object.fromEntries(
      variables.map(({ name, shape }) => [name, tf.randomNormal(shape, 0, 1, 'float32', i + 1)]),
    );
    optimizer.applyGradients(gradients);
    for (const variable of variables) if (variable.dataSync().some(value => value !== 1)) moved.add(variable.name);
  }
  return variables.map(({ name }) => name).filter(name => !moved.has(name));
}

describe('where a subspace has nothing of a parameter', () => {
  it('badam trains the matrices of a model of one or two layers', () => {
    const options = { switchEvery: 1, learningRate: 0.01 };
    expect(unmoved(recipe('badam', options), [[4, 3]])).toEqual([]);
    tf.disposeVariables();
    expect(
      unmoved(recipe('badam', options), [
        [4, 3],
        [3, 2],
      ]),
    ).toEqual([]);
  });

  it('galore trains a model that ends in dense(1)', () => {
    expect(
      unmoved(recipe('galore'), [
        [8, 8],
        [64, 1],
      ]),
    ).toEqual([]);
  });

  it('columns with drop() says that a head of one column would not be trained', () => {
    const optimizer = compose({
      learningRate: 0.1,
      groups: [{ use: subspace({ projector: columns({ density: 0.25 }), rule: adamW() }) }],
    });
    expect(() => unmoved(optimizer, [[64, 1]])).toThrow(/columns.*"layers\.0\.w".*64/);
  });

  it('a residual at scale 0 says so, too', () => {
    const combine = residual(signSgd(), { scale: 0 });
    const use = subspace({ projector: columns({ density: 0.25 }), rule: adamW(), combine });
    const optimizer = compose({ learningRate: 0.1, groups: [{ use }] });
    expect(() => unmoved(optimizer, [[64, 1]])).toThrow(/columns.*"layers\.0\.w".*64/);
  });

  it('frugal gives it the rule with state, and the memory table says why', () => {
    const [row] = recipe('frugal-columns').memoryReport([{ name: 'head', shape: [64, 1] }]);
    expect(row!.slotBytes).toBe(2 * 4 * 64);
    expect((row as { note?: string }).note).toContain('64×1');
  });

  it('explain() says so where a residual trains all of it', () => {
    const use = subspace({ projector: columns({ density: 0.25 }), rule: adamW(), combine: residual(signSgd()) });
    const optimizer = compose({ learningRate: 0.1, groups: [{ use }] });
    expect(JSON.stringify(optimizer.explain([{ name: 'head', shape: [3, 3, 8, 1] }]))).toContain('empty');
  });
});

describe('kernels of convolutions and output layers', () => {
  it('a projector of matrices works on the kernel of a convolution', () => {
    const asMatrix = (projectors as Record<string, unknown>)['asMatrix'] as (p: unknown) => ReturnType<typeof rows>;
    expect(asMatrix).toBeTypeOf('function');
    const use = subspace({ projector: asMatrix(projectors.svd({ rank: 2 })), rule: adamW() });
    const optimizer = compose({ learningRate: 0.1, groups: [{ use }] });
    expect(optimizer.memoryReport([{ name: 'conv', shape: [3, 3, 4, 8] }]).totalStateBytes).toBe(
      4 * (2 * 36 * 2 + 8 * 2),
    );
  });

  it.each(['frugal', 'galore', 'badam'])('%s takes convolutions and the names of an output layer', name => {
    const make = () => recipe(name, { convolutions: true, fullRank: 'dense_2/kernel' });
    expect(make).not.toThrow();
    const rules = make().explain([
      { name: 'conv/kernel', shape: [3, 3, 8, 8] },
      { name: 'dense_2/kernel', shape: [16, 8] },
    ]);
    expect(rules.map(({ rule }) => rule.startsWith('subspace('))).toEqual([true, false]);
  });
});

describe('an expression that is not right says what to write', () => {
  type Any = { [method: string]: (...of: unknown[]) => Any };
  const update = (parts: Record<string, unknown>) => () => {
    const rule = expressionRule<never>({
      kind: 'mine',
      options: {},
      state: () => ({}),
      step: ({ g }: { g: Any }) => ({ direction: g }),
      ...parts,
    } as unknown as ExpressionRule<never>);
    unmoved(compose({ learningRate: 0.1, groups: [{ use: rule }] }), [[4, 3]], 1);
  };

  it.each<[string, Record<string, unknown>, RegExp]>([
    ['g.pow(2): square()', { step: ({ g }: { g: Any }) => ({ direction: g['pow']!(2) }) }, /square\(\)/],
    [
      'parameter: what declares it',
      { step: ({ g, parameter }: { g: Any; parameter: Any }) => ({ direction: g['add']!(parameter['mul']!(0.1)) }) },
      /reads: \['parameter'\]|readsParameter/,
    ],
    ['a single value: an object', { step: ({ g }: { g: Any }) => g }, /expected an object \{ direction \}/],
    [
      'a value as a condition: select',
      { step: ({ g }: { g: Any }) => ({ direction: g['greater']!(0) ? g['abs']!() : g }) },
      /select\(condition, x, y\)/,
    ],
    [
      'a misspelled extent: the nearest',
      { state: () => ({ m: { extent: 'rows' } }), step: ({ g }: { g: Any }) => ({ direction: g, m: g }) },
      /Did you mean row\?/,
    ],
  ])('%s', (_, parts, message) => expect(update(parts)).toThrow(message));

  it('a combine without state is refused where it is given', () => {
    const { state: _, ...combine } = composer.drop();
    const make = () => subspace({ projector: rows(), rule: adamW(), combine: combine as never });
    expect(make).toThrow(/subspace\.combine: .*without state/);
  });

  it('Muon on a vector names the vector', () => {
    const optimizer = compose({ learningRate: 0.1, groups: [{ use: muon() }] });
    expect(() => optimizer.memoryReport([{ name: 'dense/bias', shape: [4] }])).toThrow(/muon at "dense\/bias"/);
  });
});

describe('a rule with something in it that nothing reads is refused', () => {
  it('a subspace that is spread to wrap its step', () => {
    const wrapped = { ...subspace({ projector: rows(), rule: adamW() }), step: () => ({ direction: 0 }) };
    expect(() => compose({ learningRate: 0.1, groups: [{ use: wrapped }] })).toThrow(/found the key step.*wrapRule/);
    expect(() => residual(wrapped)).toThrow(/found the key step.*wrapRule/);
  });

  it('a subspace that is spread to exchange a part, of which the old one would be saved', () => {
    const exchanged = { ...subspace({ projector: rows(), rule: adamW() }), rule: signSgd() };
    expect(() => compose({ learningRate: 0.1, groups: [{ use: exchanged }] })).toThrow(/subspace\.rule/);
  });
});
