import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { inspect } from 'node:util';
import { compose, frugal, recipe, subspace } from '@frugaljs/composer';
import * as core from '@frugaljs/core';
import { TokenDataset } from '@frugaljs/llama';
import { rows } from '@frugaljs/projectors';
import { sgd } from '@frugaljs/state-free';
import { adamW, lion } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeAll, expect, it } from 'vitest';
import '@tensorflow/tfjs-backend-cpu';

const ROOT = path.resolve(import.meta.dirname, '../..');

beforeAll(() => tf.setBackend('cpu'));

let made = 0;
/** A variable of ones with a name of its own. */
function ones(name: string, shape: number[] = [2, 2]): tf.Variable {
  made += 1;
  return tf.variable(tf.ones(shape), true, `${name}.${made}`);
}

/** Steps an optimizer on these variables, with gradients of ones. */
function step(optimizer: tf.Optimizer, ...variables: tf.Variable[]): void {
  optimizer.applyGradients(Object.fromEntries(variables.map(variable => [variable.name, tf.onesLike(variable)])));
}

it('a warm-up goes on when a callback halves the learning rate at update 0', () => {
  const w = ones('w');
  const optimizer = recipe('sgd', { learningRate: { kind: 'linear', options: { from: 0, to: 1, steps: 2 } } });
  expect(() => {
    optimizer.learningRate *= 0.5;
  }).toThrow('learningRateScale');
  for (let i = 0; i < 3; i++) step(optimizer, w);
  expect(w.dataSync()[0]).toBe(1 - 0.5 - 1);
});

it('a factor on a schedule can be changed, and is saved with the state', async () => {
  const optimizer = recipe('sgd', { learningRate: 1 }) as ReturnType<typeof recipe> & { learningRateScale: number };
  const w = ones('w');
  optimizer.learningRateScale = 0.25;
  step(optimizer, w);
  expect(w.dataSync()[0]).toBe(0.75);
  const next = recipe('sgd', { learningRate: 1 });
  await next.setWeights(await optimizer.getWeights());
  step(next, w);
  expect(w.dataSync()[0]).toBe(0.5);
});

it('a GAN trains one network before the other with one compose()', () => {
  const [generator, discriminator] = [ones('generator'), ones('discriminator')];
  const groups = [{ match: /generator/, use: sgd() }, { match: /discriminator/, use: sgd() }, { use: sgd() }];
  const optimizer = compose({ learningRate: 1, groups });
  step(optimizer, discriminator);
  step(optimizer, generator);
  expect([generator, discriminator].map(variable => variable.dataSync()[0])).toEqual([0, 0]);
});

it('a layer that is frozen at first has a group of its own, and is unfrozen later', async () => {
  const model = tfl.sequential({
    layers: [
      tfl.layers.dense({ units: 3, inputShape: [2], name: 'backbone', trainable: false }),
      tfl.layers.dense({ units: 1, name: 'head' }),
    ],
  });
  const optimizer = compose({ learningRate: 0.1, groups: [{ match: /backbone/, use: lion() }, { use: adamW() }] });
  const [x, y] = [tf.ones([4, 2]), tf.ones([4, 1])];
  for (const trainable of [false, true]) {
    model.layers[0]!.trainable = trainable;
    model.compile({ optimizer, loss: 'meanSquaredError' });
    await model.fit(x, y, { epochs: 1, verbose: 0 });
  }
  expect(optimizer.updates).toBe(2);
});

it('a model can be compiled again with a new optimizer', async () => {
  const model = tfl.sequential({ layers: [tfl.layers.dense({ units: 1, inputShape: [2] })] });
  const [x, y] = [tf.ones([4, 2]), tf.ones([4, 1])];
  for (let i = 0; i < 2; i++) {
    model.compile({ optimizer: frugal(), loss: 'meanSquaredError' });
    await model.fit(x, y, { epochs: 1, verbose: 0 });
  }
});

it('an optimizer whose variables another one trains now says which one', () => {
  const w = ones('w');
  const [old, next] = [recipe('adamW'), recipe('lion')];
  step(old, w);
  step(next, w);
  expect(() => step(old, w)).toThrow(/another optimizer \(lion\)/);
});

it('an update without gradients is an error', () => {
  const optimizer = frugal();
  expect(() => optimizer.applyGradients({})).toThrow('applyGradients');
  expect(optimizer.updates).toBe(0);
});

it('an optimizer is printed in at most three lines', () => {
  expect(inspect(frugal()).split('\n').length).toBeLessThanOrEqual(3);
  expect(inspect(subspace({ projector: rows(), rule: adamW() })).split('\n').length).toBe(1);
});

it('the memory of accumulation says when there is so much', () => {
  const report = recipe('lion', { accumulate: 2 }).memoryReport([{ name: 'w', shape: [2, 2] }]);
  expect((report as { moment?: string }).moment).toMatch('during the update');
});

it('explain() says what to import where there are no kernels', () => {
  const w = ones('w');
  const optimizer = recipe('sgd');
  step(optimizer, w);
  expect(optimizer.explain()[0]!.kernel).toContain('import @frugaljs/backend-wasm');
});

const OWN = { options: {}, state: () => ({}), step: ({ g }: { g: core.Value }) => ({ direction: g }) };

it.each<[string, () => unknown, RegExp]>([
  ['a number in quotes', () => recipe('adamW', { learningRate: '1e-3' }), /the string "1e-3"/],
  [
    'an optimizer of tfjs for a rule',
    () => compose({ learningRate: 1, groups: [{ use: tf.train.adam(1) as never }] }),
    /is an optimizer/,
  ],
  ['a recipe for a rule', () => compose({ learningRate: 1, groups: [{ use: frugal() as never }] }), /is an optimizer/],
  [
    'a rule without kind',
    () => compose({ learningRate: 1, groups: [{ use: core.expressionRule<never>(OWN as never) }] }),
    /groups\[0\]\.use: .*kind/,
  ],
  [
    'a misspelled extent',
    () =>
      compose({
        learningRate: 1,
        groups: [
          {
            use: core.expressionRule<'m'>({
              ...OWN,
              kind: 'own',
              state: () => ({ m: { extent: 'elment' } }),
              step: ({ g, m }: Record<'g' | 'm', core.Value>) => ({ direction: g, m }),
            } as never),
          },
        ],
      }).memoryReport([{ name: 'w', shape: [2] }]),
    /Did you mean element/,
  ],
  [
    'a combine without state',
    () =>
      subspace({
        projector: rows(),
        rule: adamW(),
        combine: { kind: 'c', options: {}, rule: null, tolerance: 0, apply: () => ({}) } as never,
      }),
    /combine.*without state/,
  ],
  ['a tensor for a loss', () => recipe('sgd').minimize(tf.scalar(1) as never), /minimize: expected a function/],
  ['an async loss', () => recipe('sgd').minimize((async () => tf.scalar(1)) as never), /a promise\. Await/],
  ['a loss of many numbers', () => recipe('sgd').minimize((() => tf.square(ones('w'))) as never), /Take the mean/],
])('%s is an error that says what to write', (_, action, message) => {
  ones('some');
  expect(action).toThrow(message);
});

it('an uncaught error of a program on wasm is printed without the source of the backend', () => {
  const program = `import '@frugaljs/backend-wasm';
    import { setBackend } from '@tensorflow/tfjs-core';
    await setBackend('wasm');
    setTimeout(() => { throw new Error('of the user'); });`;
  const flags = [
    '--conditions=@frugaljs/source',
    '--conditions=source',
    '--import',
    'tsx',
    '--input-type=module',
    '--eval',
  ];
  const { stderr } = spawnSync(process.execPath, [...flags, program], { encoding: 'utf8', cwd: ROOT });
  expect(stderr).toContain('Error: of the user');
  expect(stderr.length).toBeLessThan(2000);
}, 30_000);

it('memoryReport takes a model of tf.layers', () => {
  const model = tfl.sequential({ layers: [tfl.layers.dense({ units: 1, inputShape: [2] })] });
  expect(
    frugal()
      .memoryReport(model as never)
      .map(({ shape }) => shape),
  ).toEqual(['2×1', '1']);
});

it('a warm-up can start at peak / W', () => {
  const schedule = core.warmupCosine({ peak: 1, warmup: 4, total: 8, warmupStart: 'step' } as never);
  expect([0, 3].map(schedule.at)).toEqual([0.25, 1]);
});

it('recipes by name take a schedule, and as functions its JSON', () => {
  const { kind, options, at } = core.cosine({ peak: 1, steps: 4 });
  const own = { kind: 'own', options: {}, at };
  expect(recipe('sgd', { learningRate: own as never }).learningRate).toBe(1);
  expect(frugal({ learningRate: { kind, options } as never }).learningRate).toBe(1);
});

it('text can be trained on in the order in which it stands', () => {
  const text = Int32Array.from({ length: 30 }, (_, i) => i);
  const options = { sequenceLength: 4, batchSize: 1, order: 'sequential' } as const;
  const data = new TokenDataset(text, text, options);
  expect([0, 1, 2, 3].map(index => data.trainBatch(index).data[0])).toEqual([0, 4, 8, 12]);
});

it('frugal has the tolerance of its residual', () => {
  expect(JSON.stringify(frugal({ tolerance: 0.01 } as never))).toContain('"tolerance":0.01');
});

it('randK is read as recipes spell it, and they as it is spelled', () => {
  recipe('frugal-randK');
  recipe('frugal', { projector: 'randk' });
});
