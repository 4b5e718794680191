import { expressionRule, type Projector, warmupCosine } from '@frugaljs/core';
import { columns, rows, svd } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW, lion } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeEach, describe, expect, test } from 'vitest';
import { compose, frugal, recipe, registerRule, residual, subspace } from '../src/index.js';
import { BACKENDS, difference, regression, valuesOf } from './fixtures.js';

beforeEach(async () => {
  await tf.setBackend('cpu');
});

function modelOf(): tfl.Sequential {
  const dense = (units: number, more: object = {}): tfl.layers.Layer =>
    tfl.layers.dense({ units, kernelInitializer: tfl.initializers.glorotNormal({ seed: units }), ...more });
  return tfl.sequential({
    layers: [
      dense(16, { inputShape: [8], activation: 'tanh', name: 'up' }),
      dense(12, { name: 'down' }),
      dense(3, { name: 'out' }),
    ],
  });
}

const X = (): tf.Tensor2D => tf.randomNormal([64, 8], 0, 1, 'float32', 7);
const Y = (): tf.Tensor2D => tf.randomNormal([64, 3], 0, 1, 'float32', 8);
const FIT = { batchSize: 64, epochs: 5, verbose: 0, shuffle: false } as const;

describe('LayersModel', () => {
  test('trains, is saved with its optimizer, and the restored one continues exactly as the first does', async () => {
    const [x, y] = [X(), Y()];
    const options = { density: 0.5, updateGap: 4, learningRate: warmupCosine({ peak: 0.02, warmup: 3, total: 30 }) };
    const part = modelOf();
    part.compile({ optimizer: frugal(options), loss: 'meanSquaredError' });
    await part.fit(x, y, FIT);
    let saved: tf.io.ModelArtifacts | undefined;
    await part.save(
      tf.io.withSaveHandler(async artifacts => {
        saved = artifacts;
        return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
      }),
      { includeOptimizer: true },
    );
    // The restored variables get other names while the first model lives.
    const restored = await tfl.loadLayersModel(tf.io.fromMemory(saved!));
    expect(restored.optimizer.getClassName()).toBe('FrugalComposed');
    const continued = (await restored.fit(x, y, FIT)).history['loss']!;
    expect(continued).toEqual((await part.fit(x, y, FIT)).history['loss']);
    expect(continued.at(-1)).toBeLessThan(continued[0] as number);
  });

  test('freezing a layer midway leaves its weights and the state of the others alone', async () => {
    const [x, y] = [X(), Y()];
    const model = modelOf();
    const optimizer = frugal({ density: 0.5, updateGap: 100 });
    model.compile({ optimizer, loss: 'meanSquaredError' });
    await model.fit(x, y, FIT);
    const stateBefore = new Map(
      (await optimizer.getWeights()).map(({ name, tensor }) => [name, tensor.dataSync().slice()]),
    );
    const frozen = model.layers[1]!;
    const frozenBefore = frozen.getWeights().map(weight => weight.dataSync().slice());
    frozen.trainable = false;
    model.compile({ optimizer, loss: 'meanSquaredError' });
    await model.fit(x, y, FIT);
    expect(frozen.getWeights().map(weight => weight.dataSync())).toEqual(frozenBefore);
    const frozenNames = frozen.weights.map(({ name }) => name);
    for (const { name, tensor } of await optimizer.getWeights()) {
      const before = stateBefore.get(name);
      const moved = JSON.stringify([...tensor.dataSync()]) !== JSON.stringify([...(before ?? [])]);
      if (frozenNames.some(frozenName => name.startsWith(`${frozenName}::`)))
        expect([name, moved]).toEqual([name, false]);
      else if (name.endsWith('/m') || name.endsWith('::m')) expect([name, moved]).toEqual([name, true]);
    }
    // Unfrozen, it goes on from where it was: its counter did not stand still with a fresh state.
    frozen.trainable = true;
    model.compile({ optimizer, loss: 'meanSquaredError' });
    const { history } = await model.fit(x, y, FIT);
    expect(history['loss']!.at(-1)).toBeLessThan(history['loss']![0] as number);
    optimizer.dispose();
  });
});

describe.each(BACKENDS)('on %s', backend => {
  test('a three-tier split trains, and its coordinates do not overlap', async () => {
    await tf.setBackend(backend);
    const problem = regression(3);
    const inner = subspace({
      projector: rows({ density: 0.25 }),
      rule: lion(),
      combine: residual(signSgd()),
      refresh: { every: 5 },
    });
    const optimizer = compose({
      learningRate: 0.01,
      groups: [
        { match: /norm/, use: adamW() },
        {
          use: subspace({
            projector: rows({ density: 0.25 }),
            rule: adamW(),
            combine: residual(inner),
            refresh: { every: 5 },
          }),
        },
      ],
    });
    const first = problem.loss().dataSync()[0]!;
    for (let i = 0; i < 40; i++) optimizer.minimize(problem.loss, false, [...problem.variables]);
    expect(problem.loss().dataSync()[0]!).toBeLessThan(0.6 * first);
    optimizer.dispose();
    problem.dispose();
  });

  test('a rule of ten lines trains and is restored from JSON', async () => {
    await tf.setBackend(backend);
    const signum = ({ beta = 0.9 } = {}) =>
      expressionRule({
        kind: 'signum',
        options: { beta },
        state: () => ({ m: { extent: 'element' } }),
        step: ({ g, m }) => {
          const next = m.mul(beta).add(g.mul(1 - beta));
          return { direction: next.sign(), m: next };
        },
      });
    registerRule('signum', signum);
    const problem = regression(4);
    const optimizer = compose({
      learningRate: 0.01,
      groups: [
        { use: subspace({ projector: columns({ density: 0.5 }), rule: signum(), combine: residual(signSgd()) }) },
      ],
    });
    const first = problem.loss().dataSync()[0]!;
    for (let i = 0; i < 30; i++) optimizer.minimize(problem.loss, false, [...problem.variables]);
    expect(problem.loss().dataSync()[0]!).toBeLessThan(0.6 * first);
    expect(JSON.stringify(optimizer.toJSON())).toContain('signum');
    optimizer.dispose();
    problem.dispose();
  });
});

test('both forms of applyGradients and minimize make the same step', () => {
  const steps: Float32Array[][] = [];
  for (const form of ['map', 'array', 'minimize'] as const) {
    const problem = regression(5, 'forms');
    const optimizer = recipe('frugal', { updateGap: 2 });
    for (let i = 0; i < 4; i++) {
      if (form === 'minimize') optimizer.minimize(problem.loss, false, [...problem.variables]);
      else {
        const gradients = problem.gradients();
        if (form === 'map') optimizer.applyGradients(gradients);
        else optimizer.applyGradients(Object.entries(gradients).map(([name, tensor]) => ({ name, tensor })));
        tf.dispose(gradients);
      }
    }
    steps.push(valuesOf(problem.variables));
    optimizer.dispose();
    problem.dispose();
  }
  expect(difference(steps[1]!, steps[0]!)).toBe(0);
  expect(difference(steps[2]!, steps[0]!)).toBe(0);
});

test('accumulating N gradients equals one step on their mean, and clipping acts on the mean', () => {
  const [one, many] = [regression(6), regression(6)];
  const clip = { globalNorm: 0.05, value: 0.02 };
  const whole = recipe('sgd', { learningRate: 1, clip });
  const parts = recipe('sgd', { learningRate: 1, clip, accumulate: 3 });
  const gradients = [1, 2, 6].map(scale => {
    const base = one.gradients();
    return Object.values(base).map(g => tf.mul(g, scale));
  });
  const named = (problem: typeof one, list: readonly tf.Tensor[]): tf.NamedTensorMap =>
    Object.fromEntries(problem.variables.map((variable, i) => [variable.name, list[i]!]));
  whole.applyGradients(
    named(
      one,
      gradients[0]!.map((g, i) => tf.div(tf.addN([g, gradients[1]![i]!, gradients[2]![i]!]), 3)),
    ),
  );
  const before = valuesOf(many.variables);
  for (const list of gradients) {
    expect(parts.updates).toBe(0);
    expect(valuesOf(many.variables)).toEqual(before);
    parts.applyGradients(named(many, list));
  }
  expect(parts.updates).toBe(1);
  expect(difference(valuesOf(many.variables), valuesOf(one.variables))).toBeLessThan(1e-6);
  const moved = Math.hypot(
    ...valuesOf(one.variables).flatMap((values, i) => [...values].map((x, j) => x - before[i]![j]!)),
  );
  expect(moved).toBeGreaterThan(0.049);
  expect(moved).toBeLessThan(0.0501);
});

test('the learning rate follows its schedule and can be set', () => {
  const optimizer = recipe('sgd', { learningRate: { kind: 'linear', options: { from: 1, to: 0, steps: 4 } } });
  const w = tf.variable(tf.zeros([1]), true, 'rate');
  const g = { rate: tf.ones([1]) };
  const positions: number[] = [];
  for (let i = 0; i < 3; i++) {
    optimizer.applyGradients(g);
    positions.push(w.dataSync()[0]!);
  }
  expect(positions).toEqual([-1, -1.75, -2.25]);
  optimizer.learningRate = 0.5;
  optimizer.applyGradients(g);
  expect(w.dataSync()[0]!).toBe(-2.75);
  expect(optimizer.learningRate).toBe(0.5);
  expect(() => optimizer.setLearningRate(-1)).toThrow(/learningRate/);
  optimizer.dispose();
  w.dispose();
});

test('decay before and after the step, scaled learning rates and frozen groups', () => {
  const make = (name: string): tf.Variable => tf.variable(tf.tensor1d([2]), true, name);
  const [before, after, scaled, frozen] = ['d.before', 'd.after', 'd.scaled', 'd.frozen'].map(make) as [
    tf.Variable,
    tf.Variable,
    tf.Variable,
    tf.Variable,
  ];
  const use = signSgd();
  const optimizer = compose({
    learningRate: 0.5,
    groups: [
      { match: 'd.before', use, weightDecay: 0.1 },
      { match: 'd.after', use, weightDecay: 0.1, decay: 'after' },
      { match: /scaled/, use, weightDecay: 0.1, lrScale: 0.5 },
      { match: parameter => parameter.name === 'd.frozen', frozen: true },
    ],
  });
  const one = tf.ones([1]);
  optimizer.applyGradients(Object.fromEntries([before, after, scaled, frozen].map(({ name }) => [name, one])));
  expect(before.dataSync()[0]).toBeCloseTo(2 * 0.95 - 0.5, 6);
  expect(after.dataSync()[0]).toBeCloseTo((2 - 0.5) * 0.95, 6);
  expect(scaled.dataSync()[0]).toBeCloseTo(2 * 0.95 - 0.25, 6);
  expect(frozen.dataSync()[0]).toBe(2);
  expect(optimizer.memoryReport([before, frozen, after, scaled])[1]!.rule).toBe('(frozen)');
  expect(optimizer.explain()[0]!.rule).toBe('signSgd');
  optimizer.dispose();
  for (const variable of [before, after, scaled, frozen]) variable.dispose();
});

test('staggered refreshes spread over the interval, and continue so after a restart', async () => {
  const names = ['s0', 's1', 's2', 's3'];
  const chosen: string[][] = [];
  let update = 0;
  const watch = <P extends Projector>(projector: P): P => ({
    ...projector,
    fit: (g, previous, context) => {
      chosen[update] = [...(chosen[update] ?? []), context.site.name];
      return projector.fit(g, previous, context);
    },
  });
  const make = () =>
    compose({
      learningRate: 0.1,
      groups: [
        {
          use: subspace({
            projector: watch(svd({ density: 0.5 })),
            rule: adamW(),
            refresh: { every: 4, stagger: true },
          }),
        },
      ],
    });
  const variables = names.map(name => tf.variable(tf.ones([4, 4]), true, name));
  const g = Object.fromEntries(names.map((name, i) => [name, tf.randomNormal([4, 4], 0, 1, 'float32', i)]));
  let optimizer = make();
  for (; update < 9; update++) {
    optimizer.applyGradients(g);
    if (update === 4) {
      const next = make();
      await next.setWeights(await optimizer.getWeights());
      optimizer.dispose();
      optimizer = next;
    }
  }
  expect(chosen).toEqual([names, ['s3'], ['s2'], ['s1'], ['s0'], ['s3'], ['s2'], ['s1'], ['s0']]);
  optimizer.dispose();
  tf.dispose([variables, g]);
});

test('loaded state waits for a variable that is frozen at first', async () => {
  const values = new Map<string, Float32Array>();
  for (const interrupted of [false, true]) {
    const [a, b] = ['wait.a', 'wait.b'].map(name => tf.variable(tf.ones([3, 2]), true, name)) as [
      tf.Variable,
      tf.Variable,
    ];
    const both = { [a.name]: tf.fill([3, 2], 0.5), [b.name]: tf.fill([3, 2], -2) };
    let optimizer = recipe('frugal', { density: 0.5, updateGap: 3, projectable: { minRank: 2 } });
    for (let i = 0; i < 4; i++) optimizer.applyGradients(both);
    if (interrupted) {
      const next = recipe('frugal', { density: 0.5, updateGap: 3, projectable: { minRank: 2 } });
      await next.setWeights(await optimizer.getWeights());
      optimizer.dispose();
      optimizer = next;
    }
    optimizer.applyGradients({ [a.name]: both[a.name]! });
    for (let i = 0; i < 3; i++) optimizer.applyGradients(both);
    for (const variable of [a, b]) {
      const found = variable.dataSync().slice() as Float32Array;
      if (interrupted) expect(found).toEqual(values.get(variable.name));
      values.set(variable.name, found);
    }
    optimizer.dispose();
    tf.dispose([a, b, both]);
  }
});
