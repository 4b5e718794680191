import { inspect } from 'node:util';
import { constant, expressionRule, type Projector, Tracer, warmupCosine } from '@frugaljs/core';
import { columns, rows, svd } from '@frugaljs/projectors';
import { sgd, signSgd } from '@frugaljs/state-free';
import { adamW, lion } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';
import { beforeEach, describe, expect, test, vi } from 'vitest';
import {
  compose,
  compositionFromJson,
  frugal,
  type Match,
  recipe,
  registerRule,
  residual,
  subspace,
} from '../src/index.js';
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
  optimizer.setLearningRate(constant(0.5));
  optimizer.applyGradients(g);
  expect(w.dataSync()[0]!).toBe(-2.75);
  expect(optimizer.learningRate).toBe(0.5);
  expect(() => optimizer.setLearningRate(-1)).toThrow(/learningRate/);
  optimizer.dispose();
  w.dispose();
});

test('a number takes the place of a number, and is refused in the place of a schedule', () => {
  const optimizer = recipe('sgd', { learningRate: warmupCosine({ peak: 1, warmup: 4, total: 8 }) });
  const refused = /learningRate: expected a schedule, as .*warmupCosine, found 0\. Change learningRateScale.*constant/;
  expect(() => {
    optimizer.learningRate *= 0.5;
  }).toThrow(refused);
  expect(() => optimizer.setLearningRate(0)).toThrow(refused);
  optimizer.setLearningRate(constant(0.5));
  expect(optimizer.learningRate).toBe(0.5);
  optimizer.dispose();
  const plain = recipe('sgd', { learningRate: 1 });
  plain.learningRate *= 0.5;
  plain.setLearningRate(plain.learningRate * 0.5);
  expect(plain.learningRate).toBe(0.25);
  plain.dispose();
});

describe('learningRateScale', () => {
  const gradients = (): tf.NamedTensorMap => ({ scaled: tf.ones([1]) });
  const make = (more: object = {}) =>
    compose({
      learningRate: warmupCosine({ peak: 1, warmup: 2, total: 4 }),
      groups: [{ use: sgd(), weightDecay: 0.5 }],
      ...more,
    });

  test('multiplies the rate of every update, that of the decay too, and leaves the schedule alone', () => {
    const w = tf.variable(tf.ones([1]), true, 'scaled');
    const optimizer = make({ learningRateScale: 0.5 });
    optimizer.applyGradients(gradients());
    expect(w.dataSync()[0]).toBe(1);
    optimizer.learningRateScale *= 0.5;
    optimizer.applyGradients(gradients());
    expect(w.dataSync()[0]).toBe(1 - 0.5 * 0.25 * 0.5 - 0.25 * 0.5);
    expect([optimizer.learningRate, optimizer.learningRateScale]).toEqual([1, 0.25]);
    optimizer.dispose();
    w.dispose();
  });

  test('is saved with the state, exactly, and in the configuration', async () => {
    const w = tf.variable(tf.ones([1]), true, 'scaled');
    const optimizer = make();
    expect(Object.keys(optimizer.toJSON())).not.toContain('learningRateScale');
    const before = await optimizer.getWeights();
    expect(before.map(({ name }) => name)).toEqual(['::updates', '::skipped', '::accumulated']);
    const plain = before.map(({ name, tensor }) => ({ name, tensor: tensor.clone() }));
    optimizer.learningRateScale = 0.1 + 0.2;
    optimizer.applyGradients(gradients());
    const next = make();
    await next.setWeights(await optimizer.getWeights());
    expect(next.learningRateScale).toBe(0.1 + 0.2);
    expect(compose(compositionFromJson(optimizer.toJSON())).learningRateScale).toBe(0.1 + 0.2);
    // State from before there was a scale, or with it at 1, says nothing of it.
    await next.setWeights(plain);
    expect(next.learningRateScale).toBe(1);
    for (const each of [optimizer, next]) each.dispose();
    tf.dispose([w, ...plain.map(({ tensor }) => tensor)]);
  });

  test.each([-1, Number.NaN, Number.POSITIVE_INFINITY, '0.5'])('is refused as %s', bad => {
    const optimizer = make();
    const message = /learningRateScale: expected a number in \[0, Infinity\)/;
    expect(() => make({ learningRateScale: bad })).toThrow(message);
    expect(() => {
      optimizer.learningRateScale = bad as number;
    }).toThrow(message);
    expect(optimizer.learningRateScale).toBe(1);
    optimizer.dispose();
  });

  test('damaged, it is refused before anything is loaded', async () => {
    const optimizer = make();
    optimizer.learningRateScale = 2;
    const saved = (await optimizer.getWeights()).map(({ name, tensor }) =>
      name === '::learningRateScale'
        ? { name, tensor: tf.tensor1d([-1, -1], 'int32') }
        : { name, tensor: tensor.clone() },
    );
    await expect(optimizer.setWeights(saved)).rejects.toThrow(/learningRateScale: expected the two halves/);
    expect(optimizer.learningRateScale).toBe(2);
    optimizer.dispose();
    tf.dispose(saved.map(({ tensor }) => tensor));
  });
});

describe('groups wait for their variables', () => {
  test('a GAN trains one network first with one compose()', () => {
    const [g, d] = ['gan.g', 'gan.d'].map(name => tf.variable(tf.ones([2, 2]), true, name)) as [
      tf.Variable,
      tf.Variable,
    ];
    const one = tf.ones([2, 2]);
    const optimizer = compose({
      learningRate: 1,
      groups: [
        { match: /gan\.g/, use: sgd() },
        { use: signSgd(), match: /gan\.d/ },
      ],
    });
    const other = compose({
      learningRate: 1,
      groups: [{ match: /gan\.g/, use: sgd() }, { match: /gan\.d/, frozen: true }, { use: sgd() }],
    });
    optimizer.applyGradients({ [d.name]: one });
    expect(optimizer.explain().map(({ parameter }) => parameter)).toEqual([d.name]);
    optimizer.applyGradients({ [g.name]: one });
    expect([d, g].map(variable => variable.dataSync()[0])).toEqual([0, 0]);
    other.applyGradients({ [d.name]: one });
    other.dispose();
    optimizer.dispose();
    tf.dispose([g, d, one]);
  });

  test('a misspelled match is an error in the first call, with the nearest name', () => {
    const w = tf.variable(tf.ones([1]), true, 'dense_9/kernel');
    const one = tf.ones([1]);
    const groups = [{ match: /kernl/, use: sgd() }, { use: sgd() }];
    const optimizer = compose({ learningRate: 1, groups });
    expect(() => optimizer.applyGradients({ [w.name]: one })).toThrow(
      /groups\[0\]\.match: .*\/kernl\/ that takes none of the parameters dense_9\/kernel.*Did you mean kernel\?/,
    );
    expect(optimizer.updates).toBe(0);
    optimizer.dispose();
    tf.dispose([w, one]);
  });

  test('a match in words that mean something says what is in its way', () => {
    const [kernel, bias] = ['out_9/kernel', 'out_9/bias'].map(name => tf.variable(tf.ones([1]), true, name)) as [
      tf.Variable,
      tf.Variable,
    ];
    const one = tf.ones([1]);
    const update = (...matches: Match[]) => {
      const optimizer = compose({
        learningRate: 1,
        groups: [...matches.map(match => ({ match, use: sgd() })), { use: sgd() }],
      });
      optimizer.applyGradients({ [kernel.name]: one, [bias.name]: one });
    };
    // The name of the layer, or a slip in the whole name.
    expect(() => update('out_9')).toThrow(/A string is a whole name, such as out_9\/kernel; a regular expression/);
    expect(() => update('out_9/kernle')).toThrow(/Did you mean out_9\/kernel\?/);
    expect(() => update(/out_9/, ['out_9/bias'])).toThrow(
      /groups\[1\]\.match: .*groups\[0\] matches out_9\/bias and comes first: put groups\[1\] before it\./,
    );
    tf.dispose([kernel, bias, one]);
  });

  test('one that has matched nothing in a hundred updates is called to attention, once', () => {
    const warn = vi.spyOn(console, 'warn').mockImplementation(() => {});
    const [w, other] = ['waits.w', 'waits.later'].map(name => tf.variable(tf.ones([1]), true, name)) as [
      tf.Variable,
      tf.Variable,
    ];
    const one = tf.ones([1]);
    const optimizer = compose({ learningRate: 0, groups: [{ match: 'waits.later', use: sgd() }, { use: sgd() }] });
    for (let i = 0; i < 99; i++) optimizer.applyGradients({ [w.name]: one });
    expect(warn).not.toHaveBeenCalled();
    for (let i = 0; i < 120; i++) optimizer.applyGradients({ [w.name]: one });
    expect(warn.mock.calls).toEqual([
      [expect.stringMatching(/groups\[0\]\.match: "waits\.later" has taken no parameter in 100 updates, of waits\.w/)],
    ]);
    warn.mockRestore();
    optimizer.dispose();
    tf.dispose([w, other, one]);
  });
});

describe('a new optimizer on the same variables', () => {
  test('takes them over and frees what the old one kept; the old one says so', async () => {
    const [a, b] = ['over.a', 'over.b'].map(name => tf.variable(tf.ones([2, 2]), true, name)) as [
      tf.Variable,
      tf.Variable,
    ];
    const one = tf.ones([2, 2]);
    const both = { [a.name]: one, [b.name]: one };
    const old = recipe('adamW');
    old.applyGradients(both);
    const kept = tf.memory().numBytes;
    const next = compose({ learningRate: 1, groups: [{ use: lion() }] });
    next.applyGradients({ [a.name]: one });
    // Two moments went and one came.
    expect(tf.memory().numBytes).toBe(kept - 16);
    const names = async () => (await old.getWeights()).map(({ name }) => name).filter(name => !name.startsWith('::'));
    expect((await names()).every(name => name.startsWith('over.b'))).toBe(true);
    const before = valuesOf([a, b]);
    expect(() => old.applyGradients(both)).toThrow(
      /variable "over\.a": .*another optimizer \(lion\) has taken over.*Go on with that optimizer/,
    );
    expect(valuesOf([a, b])).toEqual(before);
    old.applyGradients({ [b.name]: one });
    next.applyGradients({ [a.name]: one });
    // Also once the other one is gone: the moments are too.
    next.dispose();
    expect(() => old.applyGradients(both)).toThrow(/taken over/);
    old.dispose();
    tf.dispose([a, b, one]);
  });

  test.each(['adamW', 'frugal', 'badam'])('reports of the old one count what it holds: %s', name => {
    const one = tf.ones([4, 4]);
    const shape = [4, 4];
    const [a, b] = ['over.a', 'over.b'].map(each => tf.variable(tf.ones(shape), true, each)) as [
      tf.Variable,
      tf.Variable,
    ];
    const before = tf.memory().numBytes;
    const old = recipe(name, { accumulate: 2 });
    const next = recipe('lion');
    const stepOld = (...variables: tf.Variable[]) =>
      old.applyGradients(Object.fromEntries(variables.map(each => [each.name, one])));
    for (let i = 0; i < 2; i++) stepOld(a, b);
    const whole = old.memoryReport([a, b]);
    const alone = old.memoryReport([b]);
    next.applyGradients({ [a.name]: one });
    next.dispose();
    // The sum of its gradients is there, too: the report is of the fullest moment.
    stepOld(b);
    const held = tf.memory().numBytes - before;
    for (const listed of [[a, b], { trainableWeights: [a, b] }, { [a.name]: { shape }, [b.name]: { shape } }]) {
      const report = old.memoryReport(listed);
      expect(report.totalStateBytes).toBe(held);
      expect(report[0]).toMatchObject({ ...whole[0], slotBytes: 0, basisBytes: 0, accumulatorBytes: 0, stateBytes: 0 });
      expect(report[0]!.note).toMatch(/^another optimizer \(lion\) has taken it over: nothing is kept for it here$/);
      expect(report[1]).toEqual(alone[0]);
    }
    const [gone, kept] = old.explain([a, b]);
    expect(gone).toMatchObject({ kernel: 'none', stateBytes: 0, note: expect.stringContaining('lion') });
    expect(kept!.kernel).not.toBe('none');
    // Of one made anew under the name it is a plan again.
    a.dispose();
    const anew = tf.variable(tf.ones(shape), true, 'over.a');
    expect(old.memoryReport([anew, b])[0]).toEqual(whole[0]);
    old.dispose();
    tf.dispose([anew, b, one]);
  });

  test.each(['badam', 'frugal-blockwise'])(
    'the blocks of the old one keep their turns, also restored: %s',
    async name => {
      const names = ['over.a', 'over.b', 'over.c', 'over.d'];
      const start = [1, 2, 3, 4];
      const train = async (saveAt: number): Promise<unknown> => {
        const variables = names.map((each, i) => tf.variable(tf.fill([2, 2], start[i]!), true, each));
        const gradients = (from: number) =>
          Object.fromEntries(variables.slice(from).map(each => [each.name, tf.mul(each, 0.1)]));
        const make = () => recipe(name, name === 'badam' ? { switchEvery: 2 } : { updateGap: 2 });
        let optimizer = make();
        const next = recipe('lion');
        for (let i = 0; i < 14; i++) {
          if (i === saveAt) {
            const restored = make();
            await restored.setWeights(await optimizer.getWeights());
            optimizer.dispose();
            optimizer = restored;
          }
          tf.tidy(() => {
            optimizer.applyGradients(gradients(i < 3 ? 0 : 1));
            if (i === 2) next.applyGradients({ [names[0]!]: tf.ones([2, 2]) });
          });
        }
        const trained = valuesOf(variables);
        tf.dispose(variables);
        for (const each of [optimizer, next]) each.dispose();
        return trained;
      };
      const uninterrupted = await train(-1);
      for (const saveAt of [3, 4, 7]) expect(await train(saveAt)).toEqual(uninterrupted);
    },
  );

  test('takes nothing with gradients that are refused', () => {
    const w = tf.variable(tf.ones([2]), true, 'over.w');
    const [one, bad] = [tf.ones([2]), tf.fill([2], Number.NaN)];
    const old = recipe('adamW');
    old.applyGradients({ [w.name]: one });
    const next = recipe('lion');
    expect(() => next.applyGradients({ [w.name]: bad })).toThrow('NaN');
    old.applyGradients({ [w.name]: one });
    expect(old.updates).toBe(2);
    for (const each of [old, next]) each.dispose();
    tf.dispose([w, one, bad]);
  });

  test('state that is loaded makes an optimizer the owner again', async () => {
    const w = tf.variable(tf.ones([2]), true, 'over.w');
    const one = tf.ones([2]);
    const old = recipe('adamW');
    old.applyGradients({ [w.name]: one });
    const saved = (await old.getWeights()).map(({ name, tensor }) => ({ name, tensor: tensor.clone() }));
    const next = recipe('lion');
    next.applyGradients({ [w.name]: one });
    await old.setWeights(saved);
    old.applyGradients({ [w.name]: one });
    expect(old.updates).toBe(2);
    expect((await old.getWeights()).find(({ name }) => name === 'over.w::t')?.tensor.dataSync()[0] ?? 2).toBe(2);
    expect(() => next.applyGradients({ [w.name]: one })).toThrow(/\(adamW\) has taken over/);
    for (const each of [old, next]) each.dispose();
    tf.dispose([w, one, ...saved.map(({ tensor }) => tensor)]);
  });

  test('freezing, compiling anew and unfreezing works with a new optimizer each time', async () => {
    const [x, y] = [X(), Y()];
    const model = modelOf();
    for (const trainable of [true, false, true]) {
      model.layers[0]!.trainable = trainable;
      model.compile({ optimizer: frugal({ density: 0.5 }), loss: 'meanSquaredError' });
      await model.fit(x, y, FIT);
    }
  });
});

test.each(['auto', 'reference'] as const)('memory with accumulation is what there is at the fullest, %s', kernels => {
  const w = tf.variable(tf.ones([16, 16]), true, 'fullest');
  const g = tf.ones([16, 16]);
  const optimizer = compose({ learningRate: 1, accumulate: 3, kernels, groups: [{ use: lion() }] });
  const report = optimizer.memoryReport([w]);
  expect(report.moment).toMatch(/^during the update/);
  expect(compose({ learningRate: 1, groups: [{ use: lion() }] }).memoryReport([w]).moment).toBe('after the update');
  const before = tf.memory().numBytes;
  const kept = Array.from({ length: 6 }, () => {
    optimizer.applyGradients({ [w.name]: g });
    return tf.memory().numBytes - before;
  });
  const { slotBytes, accumulatorBytes } = report[0]!;
  expect(kept).toEqual([
    accumulatorBytes,
    accumulatorBytes,
    slotBytes,
    slotBytes + accumulatorBytes,
    slotBytes + accumulatorBytes,
    slotBytes,
  ]);
  expect(report.totalStateBytes).toBe(Math.max(...kept));
  optimizer.dispose();
  tf.dispose([w, g]);
});

test('console.log shows an optimizer, a subspace and a value in a few lines', () => {
  const w = tf.variable(tf.ones([4, 4]), true, 'shown');
  const optimizer = frugal({ density: 0.5, learningRate: 0.1, projectable: 'shown' });
  optimizer.applyGradients({ [w.name]: tf.ones([4, 4]) });
  const text = inspect(optimizer);
  expect(text).toMatch(
    /^ComposedOptimizer\(subspace\(rows\(density 0\.5\) → adamW; residual\(signSgd\); every 200, reset\); adamW\)/,
  );
  expect(text).toMatch(/learning rate 0\.1, 1 update, 1 variable, 72 bytes of state$/);
  expect(`${optimizer}`).toBe(text);
  optimizer.dispose();
  expect(inspect(optimizer)).toMatch(/disposed$/);
  const rule = subspace({ projector: rows({ density: 0.5 }), rule: adamW() });
  expect(inspect({ rule })).toBe('{ rule: subspace(rows(density 0.5) → adamW; drop; every 200, reset) }');
  expect(inspect(new Tracer().input('g', 'element').mul(2).sign())).toBe(
    'Value(sign(mul(g, 2)): one value per element)',
  );
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
