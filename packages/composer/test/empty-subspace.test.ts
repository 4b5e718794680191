import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import { type Combine, type Json, type Projector, UnmatchedGroupError, UnsupportedShapeError } from '@frugaljs/core';
import { asMatrix, blockwise, columns, dct, given, randK, random, rows, svd } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW, lion } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, test } from 'vitest';
import {
  badam,
  type ComposedOptimizer,
  compose,
  drop,
  feedback,
  galore,
  listRecipes,
  recipe,
  recipeOptions,
  residual,
  scaledGradient,
  scaledResidual,
  subspace,
} from '../src/index.js';
import { BACKENDS, valuesOf } from './fixtures.js';

const SHAPES = [[64, 1], [1, 64], [1, 1], [3, 3, 8, 1], [5], [1]];
const DENSITIES = [0, 0.01, 0.25, 1];
const STEPS = 30;

/** Variables of these shapes, each in a layer of its own, from numbers that no step reaches by chance. */
function variables(shapes: readonly (readonly number[])[]): tf.Variable[] {
  return shapes.map((shape, i) => tf.tidy(() => tf.variable(tf.fill([...shape], 0.123), true, `layers.${i}.w`)));
}

/**
 * Trains with random gradients.
 *
 * @returns Names of the variables of which an entry has never moved. At the end, signs may have brought it back.
 */
function train(optimizer: ComposedOptimizer, trained: readonly tf.Variable[], steps = STEPS): string[] {
  const start = valuesOf(trained);
  const moved = start.map(values => values.map(() => 0));
  for (let i = 0; i < steps; i++) {
    const gradients = Object.fromEntries(
      trained.map(({ name, shape }, j) => [name, tf.randomNormal(shape, 0, 1, 'float32', 1 + 100 * i + j)]),
    );
    try {
      optimizer.applyGradients(gradients);
    } finally {
      tf.dispose(gradients);
    }
    valuesOf(trained).forEach((values, j) => {
      for (const [k, value] of values.entries()) if (value !== start[j]![k]) moved[j]![k] = 1;
    });
  }
  return trained.filter((_, j) => moved[j]!.includes(0)).map(({ name }) => name);
}

function noted(optimizer: ComposedOptimizer, trained: readonly tf.Variable[]): Record<string, string> {
  const reported = optimizer
    .memoryReport(trained)
    .flatMap(({ parameter, note }) => (note === undefined ? [] : [[parameter, note]]));
  const explained = optimizer
    .explain(trained)
    .flatMap(({ parameter, note }) => (note === undefined ? [] : [[parameter, note]]));
  expect(explained).toEqual(reported);
  return Object.fromEntries(reported);
}

/** A short gap. lisa draws its layers, and in few draws one of them is likely to be left out. */
function gapOf(name: string): { readonly [key: string]: Json } {
  if (name === 'lisa') return { switchEvery: 1 };
  return 'switchEvery' in recipeOptions(name) ? { switchEvery: 3 } : { updateGap: 7 };
}

const HAS_SUBSPACE = listRecipes().filter(name => 'density' in recipeOptions(name));

afterEach(() => tf.disposeVariables());

describe.each(BACKENDS)('recipes on %s', backend => {
  test.each(HAS_SUBSPACE.flatMap(name => DENSITIES.map(density => ({ name, density }))))(
    '$name trains every entry of every parameter at density $density, or says which one it does not',
    async ({ name, density }) => {
      await tf.setBackend(backend);
      const models = [
        ...SHAPES.map(shape => [shape]),
        SHAPES,
        [
          [8, 12],
          [12, 6],
          [6, 1],
        ],
      ];
      for (const shapes of models) {
        for (const all of [{}, { convolutions: true }, { projectable: { minRank: 0 } }]) {
          const trained = variables(shapes);
          const optimizer = recipe(name, { ...gapOf(name), density, learningRate: 0.01, ...all });
          const left = train(optimizer, trained);
          const notes = noted(optimizer, trained);
          if (density > 0) expect(left).toEqual([]);
          for (const each of left)
            expect(notes[each]).toMatch(/^the subspace is empty, and it is never trained: .*\(density 0\)$/);
          optimizer.dispose();
          tf.dispose(trained);
        }
      }
    },
    60_000,
  );

  test('a parameter of which the subspace has nothing is trained by the plain rule, with a note', async () => {
    await tf.setBackend(backend);
    const trained = variables([[16, 8], [64, 1], [7]]);
    const optimizer = recipe('frugal-columns', { learningRate: 0.01 });
    const plain = compose({ learningRate: 0.01, groups: [{ use: adamW() }] });
    const notes = noted(optimizer, trained);
    expect(notes).toEqual({ 'layers.1.w': 'not in a subspace: columns(density 0.25) comes to nothing of 64×1' });
    const rowsOf = optimizer.memoryReport(trained);
    expect(rowsOf.map(({ rule }) => rule.replace(/\(.*/, ''))).toEqual(['subspace', 'adamW', 'adamW']);
    const before = tf.memory().numBytes;
    train(optimizer, trained, 3);
    expect(tf.memory().numBytes - before).toBe(rowsOf.totalStateBytes);
    const [, head] = valuesOf(trained);
    optimizer.dispose();
    for (const each of trained) each.assign(tf.tidy(() => tf.fill(each.shape, 0.123)));
    train(plain, trained, 3);
    expect(valuesOf(trained)[1]).toEqual(head);
    plain.dispose();
    tf.dispose(trained);
  });
});

describe('block-wise', () => {
  test.each(['shuffled', 'ascending', 'descending', 'mirror'] as const)(
    'order %s: one cycle trains every block',
    order => {
      for (let layers = 1; layers <= 5; layers++) {
        if (order === 'mirror' && layers === 1) continue;
        const trained = variables(Array.from({ length: layers }, () => [4, 3]));
        const optimizer = badam({ density: 0.01, order, switchEvery: 1, learningRate: 0.01 });
        expect(train(optimizer, trained, 2 * layers)).toEqual([]);
        const middle = order === 'mirror' && layers % 2 === 1 ? [`layers.${(layers - 1) / 2}.w`] : [];
        expect(Object.keys(noted(optimizer, trained))).toEqual(middle);
        optimizer.dispose();
        tf.dispose(trained);
      }
    },
  );

  test('what was saved when no block was active is loaded, and blocks take their turn from then on', async () => {
    const trained = variables([[4, 3]]);
    const optimizer = badam({ switchEvery: 2, learningRate: 0.01 });
    const counters = ['updates', 'skipped', 'accumulated'].map(name => ({
      name: `::${name}`,
      tensor: tf.scalar(name === 'updates' ? 5 : 0, 'int32'),
    }));
    await optimizer.setWeights([...counters, { name: 'layers.0.w::epoch', tensor: tf.scalar(2, 'int32') }]);
    expect(train(optimizer, trained, 1)).toEqual([]);
    expect(optimizer.updates).toBe(6);
    optimizer.dispose();
    tf.dispose([trained, counters.map(({ tensor }) => tensor)]);
  });
});

test('what was saved of a parameter in an empty subspace is loaded where the plain rule trains it now', async () => {
  const trained = variables([
    [8, 8],
    [64, 1],
  ]);
  const inSubspace = subspace({ projector: columns({ density: 0.25 }), rule: adamW(), combine: residual(lion()) });
  const before = compose({ learningRate: 0.01, groups: [{ use: inSubspace }] });
  train(before, trained, 4);
  const saved = (await before.getWeights()).map(({ name, tensor }) => ({ name, tensor: tensor.clone() }));
  before.dispose();
  expect(saved.map(({ name }) => name)).toContain('layers.1.w::epoch');
  const now = compose({
    learningRate: 0.01,
    groups: [{ use: inSubspace, match: /w/, optional: true }, { use: adamW() }],
  });
  await now.setWeights(saved);
  train(now, trained, 1);
  const names = (await now.getWeights()).map(({ name }) => name);
  expect(names.filter(name => name.startsWith('layers.1'))).toEqual([
    'layers.1.w::t',
    'layers.1.w::m',
    'layers.1.w::v',
  ]);
  expect(names).toContain('layers.0.w::rule/m');
  now.dispose();
  tf.dispose([trained, saved.map(({ tensor }) => tensor)]);
});

const PROJECTORS: Record<string, (options: { density: number }) => Projector> = {
  rows,
  columns,
  randK,
  blockwise,
  svd: options => asMatrix(svd(options)),
  random: options => asMatrix(random(options)),
  dct: options => asMatrix(dct(options)),
};

describe('an expression of one’s own', () => {
  const COMBINES = { drop, scaledResidual, scaledGradient, feedback };
  const combineNames = Object.keys(COMBINES) as (keyof typeof COMBINES)[];
  test.each(Object.keys(PROJECTORS).flatMap(name => combineNames.map(combine => [name, combine] as const)))(
    '%s with %s() trains a parameter or refuses it by name, before anything changes',
    (name, combine) => {
      for (const shape of SHAPES) {
        for (const density of DENSITIES) {
          const [first, ...others] = variables([shape, [2]]) as [tf.Variable, tf.Variable];
          const use = subspace({
            projector: PROJECTORS[name]!({ density }),
            rule: adamW(),
            combine: COMBINES[combine](),
            refresh: { every: 1 },
          });
          const optimizer = compose({ learningRate: 0.01, groups: [{ match: first.name, use }, { use: adamW() }] });
          const tensors = tf.memory().numTensors;
          try {
            train(optimizer, [first, ...others]);
          } catch (error) {
            expect(error).toBeInstanceOf(UnsupportedShapeError);
            expect((error as Error).message).toMatch(/at "layers\.0\.w": expected .*group/);
            for (const values of valuesOf([first, ...others]))
              expect(new Set(values)).toEqual(new Set([Math.fround(0.123)]));
            expect(optimizer.updates).toBe(0);
            expect(tf.memory().numTensors).toBe(tensors);
            optimizer.dispose();
            tf.dispose([first, others]);
            continue;
          }
          // Over 30 subspaces of coordinates some entries may not have had their turn, but what is trained has moved.
          if (density === 0) expect(noted(optimizer, [first])['layers.0.w']).toContain('(density 0)');
          else expect([...first.dataSync()].some(value => value !== Math.fround(0.123))).toBe(true);
          optimizer.dispose();
          tf.dispose([first, others]);
        }
      }
    },
  );

  test('the refusal names parameter, shape, projector and density, and says what to do', () => {
    const use = subspace({ projector: columns({ density: 0.25 }), rule: adamW() });
    const optimizer = compose({ learningRate: 0.01, groups: [{ use }] });
    const report = () => optimizer.memoryReport([{ name: 'head/kernel', shape: [64, 1] }]);
    expect(report).toThrow(UnsupportedShapeError);
    expect(report).toThrow(
      'columns(density 0.25) at "head/kernel": expected a parameter of which something is trained, found shape [64,1]: columns(density 0.25) comes to nothing of 64×1, and what is not in the subspace is dropped. Raise the density, combine with residual(…), or give such parameters a group of their own with the plain rule.',
    );
    optimizer.dispose();
  });

  test.each([
    ['residual(…) at scale 0', (scale: number) => residual(signSgd(), { scale }), 'residual'],
    [
      'a combine of one’s own that takes the residual 0 times',
      (scale: number): Combine<never> => ({
        ...drop(),
        kind: 'half',
        apply: ({ lifted, residual: rest }) => ({ direction: lifted.add(rest.mul(scale)) }),
      }),
      'half',
    ],
  ])('%s drops it, too, and is refused by name before anything changes', (_, combined, kind) => {
    const trained = variables([[64, 1], [3]]);
    const optimizerOf = (scale: number, density = 0.25): ComposedOptimizer =>
      compose({
        learningRate: 0.01,
        groups: [
          {
            match: trained[0]!.name,
            use: subspace({ projector: columns({ density }), rule: adamW(), combine: combined(scale) }),
          },
          { use: adamW() },
        ],
      });
    const dropping = optimizerOf(0);
    const tensors = tf.memory().numTensors;
    const update = () => train(dropping, trained, 1);
    expect(update).toThrow(UnsupportedShapeError);
    expect(update).toThrow(/columns\(density 0\.25\) at "layers\.0\.w": .*comes to nothing of 64×1/);
    if (kind === 'residual') expect(update).toThrow(/residual trains nothing of the residual.*with a scale above 0/);
    for (const values of valuesOf(trained)) expect(new Set(values)).toEqual(new Set([Math.fround(0.123)]));
    expect(dropping.updates).toBe(0);
    expect(tf.memory().numTensors).toBe(tensors);
    // At any other scale it trains, and a density of 0 is taken at its word.
    const [least, asked] = [optimizerOf(2 ** -9), optimizerOf(0, 0)];
    expect(train(least, trained, 1)).toEqual([]);
    expect(noted(asked, trained)['layers.0.w']).toBe(
      'the subspace is empty, and it is never trained: columns(density 0)',
    );
    for (const optimizer of [dropping, least, asked]) optimizer.dispose();
    tf.dispose(trained);
  });

  test('with a residual it is what it says, and explain() says that the subspace is empty', () => {
    const trained = variables([
      [64, 1],
      [1, 1],
      [3, 3, 8, 1],
    ]);
    const use = subspace({ projector: columns({ density: 0.25 }), rule: adamW(), combine: residual(signSgd()) });
    const optimizer = compose({ learningRate: 0.01, groups: [{ use }] });
    train(optimizer, trained, 1);
    for (const values of valuesOf(trained))
      for (const value of values) expect(Math.abs(value - 0.123)).toBeCloseTo(0.01, 6);
    const note = (shape: string) =>
      `the subspace is empty, and all of it is residual: columns(density 0.25) comes to nothing of ${shape}`;
    expect(noted(optimizer, trained)).toEqual({
      'layers.0.w': note('64×1'),
      'layers.1.w': note('1×1'),
      'layers.2.w': note('3×3×8×1'),
    });
    optimizer.dispose();
    tf.dispose(trained);
  });

  test('nested: a residual that drops all is no residual, and an empty rule inside trains nothing', () => {
    const empty = subspace({ projector: columns({ density: 0.01 }), rule: adamW() });
    const report = (use: ReturnType<typeof subspace>) => () =>
      compose({ learningRate: 1, groups: [{ use }] }).memoryReport([{ name: 'w', shape: [8, 8] }]);
    const half = rows({ density: 0.5 });
    expect(report(subspace({ projector: half, rule: lion(), combine: residual(empty) }))).not.toThrow();
    expect(report(subspace({ projector: half, rule: empty }))).toThrow(/at "w": .*comes to nothing of 4×8/);
    expect(report(subspace({ projector: columns({ density: 0.01 }), rule: lion(), combine: residual(empty) }))).toThrow(
      UnsupportedShapeError,
    );
    const reading = {
      ...drop(),
      kind: 'lifts',
      apply: ({ lifted, residual: rest }: never) => ({
        direction: (lifted as never as { add(x: unknown): never }).add(rest),
      }),
    };
    expect(
      report(subspace({ projector: columns({ density: 0.01 }), rule: lion(), combine: reading as never })),
    ).not.toThrow();
  });
});

test('what was asked for is not refused, and noted: a table of nothing, and the middle block of order mirror', () => {
  const notes = (projector: Projector, count: number): (string | undefined)[] => {
    const optimizer = compose({ learningRate: 1, groups: [{ use: subspace({ projector, rule: adamW() }) }] });
    const report = optimizer.memoryReport(Array.from({ length: count }, (_, i) => ({ name: `w${i}`, shape: [4, 3] })));
    optimizer.dispose();
    return report.map(({ note }) => note);
  };
  const start = 'the subspace is empty, and it is never trained: ';
  expect(notes(given({ kind: 'rows', indices: { w0: [[]] } }), 1)).toEqual([`${start}given`]);
  const middle = `${start}it is in the middle one of 3 blocks, which is never active in order mirror`;
  expect(notes(blockwise({ order: 'mirror', density: 0.5 }), 3)).toEqual([undefined, middle, undefined]);
});

describe('an optional group', () => {
  const parameters = [
    { name: 'w', shape: [64, 1] },
    { name: 'v', shape: [8, 8] },
  ];
  const use = subspace({ projector: columns({ density: 0.25 }), rule: adamW(), combine: residual(signSgd()) });
  const rulesOf = (groups: Parameters<typeof compose>[0]['groups']): string[] => {
    const report = compose({ learningRate: 1, groups }).memoryReport(parameters);
    return report.map(({ rule }) => rule.replace(/\(.*/, ''));
  };

  test('leaves what its subspace has nothing of to the next group that trains; no other group does', () => {
    expect(rulesOf([{ match: /./, use, optional: true }, { use: adamW() }])).toEqual(['adamW', 'subspace']);
    expect(
      rulesOf([
        { match: /./, use },
        { match: 'x', use: adamW() },
      ]),
    ).toEqual(['subspace', 'subspace']);
    expect(rulesOf([{ match: /./, use, optional: true }, { frozen: true }])).toEqual(['subspace', 'subspace']);
    expect(
      rulesOf([{ match: /./, use, optional: true }, { frozen: true, match: 'w', optional: true }, { use: lion() }]),
    ).toEqual(['lion', 'subspace']);
  });

  test('a rank that is too large for all parameters is the error it was', () => {
    const optimizer = galore({ rank: 9 });
    expect(() => optimizer.memoryReport(parameters)).toThrow(/svd\.rank at "w": expected at most 1/);
    const some = galore({ rank: 3 });
    expect(some.memoryReport(parameters).map(({ note }) => note)).toEqual([
      'not in a subspace: svd(rank 3) does not take 64×1',
      undefined,
    ]);
    optimizer.dispose();
    some.dispose();
  });
});

test.each([['frugal'], ['galore'], ['badam']])(
  'a projectable of %s that names nothing is an error, not a plain rule',
  async name => {
    await tf.setBackend('cpu');
    const w = tf.variable(tf.ones([4, 4]), true, 'hidden.up');
    const optimizer = recipe(name, { projectable: { name: 'hiden.up' } as never });
    const update = () => optimizer.applyGradients({ 'hidden.up': tf.ones([4, 4]) });
    expect(update).toThrow(UnmatchedGroupError);
    expect(Array.from(w.dataSync())).toEqual(new Array(16).fill(1));
    optimizer.dispose();
    w.dispose();
  },
);
