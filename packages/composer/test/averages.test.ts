import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import { type Rule, type Schedule, warmupCosine } from '@frugaljs/core';
import { rows } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW, rmsprop } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { useBackend } from '../../../tools/test-support/backends.js';
import {
  averaged,
  type ComposedOptimizer,
  type ComposeOptions,
  compose,
  limitGrowth,
  recipe,
  recipes,
  residual,
  ruleFromJson,
  scheduleFree,
  subspace,
} from '../src/index.js';
import { difference, type Problem, regression, valuesOf } from './fixtures.js';

const STEPS = 12;

const frugal = (rule: Rule): Rule =>
  subspace({ projector: rows({ density: 0.5 }), rule, combine: residual(signSgd()), refresh: { every: 5 } });

/** Gradients that do not depend on the weights, so that a run can be repeated beside in float64. */
function gradients(problem: Problem, step: number): tf.NamedTensorMap {
  return Object.fromEntries(
    problem.variables.map(({ name, shape }, i) => [name, tf.randomNormal(shape, 0, 1, 'float32', 1 + 100 * step + i)]),
  );
}

/** Trains, and calls `after` with the number of each update. */
function train(optimizer: ComposedOptimizer, problem: Problem, steps: number, after?: (step: number) => void): void {
  for (let step = 0; step < steps; step++) {
    const given = gradients(problem, optimizer.updates);
    optimizer.applyGradients(given);
    tf.dispose(given);
    after?.(step);
  }
}

/** What the optimizer would have evaluated, in the order of the variables. */
function averagesOf(optimizer: ComposedOptimizer, problem: Problem): Float32Array[] {
  return optimizer.withAveragedWeights(() => valuesOf(problem.variables));
}

describe.each([
  { backend: 'cpu', kernels: 'auto' },
  { backend: 'cpu', kernels: 'reference' },
  { backend: 'wasm', kernels: 'auto' },
  { backend: 'wasm', kernels: 'reference' },
] as const)('on $backend, kernels $kernels', ({ backend, kernels }) => {
  useBackend(backend);

  /** A problem and an optimizer of it, with a check that both leave nothing. */
  function within<T>(
    settings: Omit<ComposeOptions, 'kernels'>,
    f: (problem: Problem, made: ComposedOptimizer) => T,
  ): T {
    const before = tf.memory().numTensors;
    const problem = regression(3, 'same');
    const optimizer = compose({ ...settings, kernels });
    try {
      return f(problem, optimizer);
    } finally {
      optimizer.dispose();
      problem.dispose();
      expect(tf.memory().numTensors).toBe(before);
    }
  }

  test.each([
    { decay: 0.9, use: adamW() },
    { decay: 0, use: adamW() },
    { decay: 0.5, use: frugal(adamW()) },
  ])('the average of $use.kind with decay $decay is that of the weights of all steps', ({ decay, use }) => {
    const settings = {
      learningRate: 0.05,
      groups: [{ match: { minRank: 2 }, use, weightDecay: 0.1 }, { use: adamW() }],
    };
    const alone = within(settings, (problem, optimizer) => {
      const all = [valuesOf(problem.variables)];
      train(optimizer, problem, STEPS, () => all.push(valuesOf(problem.variables)));
      return all;
    });
    const { groups } = settings;
    const wrapped = groups.map(group => ({ ...group, use: averaged(group.use, { decay }) }));
    within({ ...settings, groups: wrapped }, (problem, optimizer) => {
      train(optimizer, problem, STEPS);
      expect(difference(valuesOf(problem.variables), alone.at(-1)!)).toBeLessThan(1e-6);
      const weights = alone.map((_, t) => (1 - decay) * decay ** (STEPS - t));
      const mass = weights.reduce((sum, weight) => sum + weight, 0);
      const expected = problem.variables.map((_, i) =>
        alone[0]![i]!.map((_, j) => alone.reduce((sum, at, t) => sum + (weights[t]! / mass) * at[i]![j]!, 0)),
      );
      expect(difference(averagesOf(optimizer, problem), expected)).toBeLessThan(2e-6);
    });
  });

  /** The sequences of the paper's Algorithm 1 by their definitions, with the steps of RMSprop, in float64. */
  function defined(
    start: readonly Float32Array[],
    given: readonly Float32Array[][],
    rate: Schedule,
    { beta, weightDecay, power, ratePower }: { beta: number; weightDecay: number; power: number; ratePower: number },
  ): { x: Float32Array[]; y: Float32Array[] } {
    let largest = 0;
    let total = 0;
    const state = start.map(values => ({
      x: Float64Array.from(values),
      y: Float64Array.from(values),
      z: Float64Array.from(values),
      v: new Float64Array(values.length),
    }));
    given.forEach((gradient, t) => {
      const eta = rate.at(t);
      largest = Math.max(largest, eta);
      const weight = (t + 1) ** power * largest ** ratePower;
      total += weight;
      const c = weight === 0 ? 0 : weight / total;
      state.forEach(({ x, y, z, v }, i) => {
        for (let j = 0; j < x.length; j++) {
          const g = gradient[i]![j]!;
          v[j] = 0.999 * v[j]! + 0.001 * g * g;
          const d = g / (Math.sqrt(v[j]! / (1 - 0.999 ** (t + 1))) + 1e-8) + weightDecay * y[j]!;
          z[j] = z[j]! - eta * d;
          x[j] = (1 - c) * x[j]! + c * z[j]!;
          y[j] = (1 - beta) * z[j]! + beta * x[j]!;
        }
      });
    });
    return { x: state.map(({ x }) => Float32Array.from(x)), y: state.map(({ y }) => Float32Array.from(y)) };
  }

  test.each([
    { beta: 0.9, weightDecay: 0, power: 0, ratePower: 2 },
    { beta: 0.9, weightDecay: 0.1, power: 0, ratePower: 2 },
    { beta: 0.5, weightDecay: 0.1, power: 1.5, ratePower: 1 },
    { beta: 1, weightDecay: 0, power: 1, ratePower: 0.5 },
    { beta: 0.95, weightDecay: 0, power: 0, ratePower: 0 },
  ])('schedule-free training follows its definition: %o', options => {
    // From 0, where nothing moves, up and down again: the largest rate is not the last.
    const learningRate = warmupCosine({ peak: 0.05, warmup: 4, total: STEPS });
    const use = scheduleFree(rmsprop({ alpha: 0.999, biasCorrection: true }), options);
    within({ learningRate, groups: [{ use }] }, (problem, optimizer) => {
      const start = valuesOf(problem.variables);
      const given: Float32Array[][] = [];
      for (let t = 0; t < STEPS; t++) {
        const each = gradients(problem, t);
        given.push(problem.variables.map(({ name }) => each[name]!.dataSync().slice() as Float32Array));
        tf.dispose(each);
      }
      train(optimizer, problem, STEPS);
      const { x, y } = defined(start, given, learningRate, options);
      expect(difference(valuesOf(problem.variables), y)).toBeLessThan(2e-6);
      expect(difference(averagesOf(optimizer, problem), x)).toBeLessThan(5e-6);
    });
  });

  test('variables are given their weights in training back, bit for bit, whatever the function does', () => {
    within({ learningRate: 0.05, groups: [{ use: averaged(adamW()) }] }, (problem, optimizer) => {
      train(optimizer, problem, 3);
      const inTraining = valuesOf(problem.variables);
      expect(averagesOf(optimizer, problem)).not.toEqual(inTraining);
      expect(valuesOf(problem.variables)).toEqual(inTraining);
      expect(() =>
        optimizer.withAveragedWeights(() => {
          tf.tidy(() => problem.variables[0]!.assign(tf.zerosLike(problem.variables[0]!)));
          throw new Error('of the function');
        }),
      ).toThrow('of the function');
      expect(valuesOf(problem.variables)).toEqual(inTraining);
    });
  });
});

describe('withAveragedWeights', () => {
  useBackend('wasm');

  test('waits for what is asynchronous, and lets nothing train or be saved until then', async () => {
    const problem = regression(4);
    const optimizer = recipe('scheduleFree', { learningRate: 0.05 });
    train(optimizer, problem, 3);
    const inTraining = valuesOf(problem.variables);
    const averages = averagesOf(optimizer, problem);
    let done = false;
    const evaluation = optimizer.withAveragedWeights(async () => {
      await tf.nextFrame();
      done = true;
      return valuesOf(problem.variables);
    });
    expect(valuesOf(problem.variables)).toEqual(averages);
    const refused =
      /^optimizer: expected the weights in training, found variables that hold averages of the weights\. Wait until withAveragedWeights\(\) is done/;
    expect(() => train(optimizer, problem, 1)).toThrow(refused);
    expect(() => optimizer.minimize(problem.loss)).toThrow(refused);
    expect(() => optimizer.withAveragedWeights(() => 0)).toThrow(refused);
    await expect(optimizer.getWeights()).rejects.toThrow(refused);
    await expect(optimizer.setWeights([])).rejects.toThrow(refused);
    expect(done).toBe(false);
    expect(await evaluation).toEqual(averages);
    expect(valuesOf(problem.variables)).toEqual(inTraining);
    await expect(optimizer.withAveragedWeights(() => Promise.reject(new Error('late')))).rejects.toThrow('late');
    expect(valuesOf(problem.variables)).toEqual(inTraining);
    train(optimizer, problem, 1);
    optimizer.dispose();
    problem.dispose();
  });

  test('without an average it just calls the function', () => {
    const problem = regression(5);
    const optimizer = recipe('adamW');
    train(optimizer, problem, 2);
    expect(optimizer.keepsAverages).toBe(false);
    expect(optimizer.averagedWeights().size).toBe(0);
    const inTraining = valuesOf(problem.variables);
    expect(averagesOf(optimizer, problem)).toEqual(inTraining);
    optimizer.dispose();
    problem.dispose();
  });

  test('averages are saved with the state, and stand after it is restored', async () => {
    const make = (): ComposedOptimizer =>
      compose({
        learningRate: 0.05,
        groups: [
          { match: { minRank: 2 }, use: averaged(frugal(adamW()), { decay: 0.8 }) },
          { use: scheduleFree(rmsprop({ biasCorrection: true })) },
        ],
      });
    const problem = regression(6, 'saved');
    const optimizer = make();
    expect(optimizer.keepsAverages).toBe(true);
    train(optimizer, problem, 4);
    const saved = (await optimizer.getWeights()).map(({ name, tensor }) => ({ name, tensor: tensor.clone() }));
    const weights = valuesOf(problem.variables);
    train(optimizer, problem, 4);
    const expected = averagesOf(optimizer, problem);
    optimizer.dispose();
    problem.variables.forEach((variable, i) => {
      const tensor = tf.tensor(weights[i]!, variable.shape);
      variable.assign(tensor);
      tensor.dispose();
    });
    const again = make();
    await again.setWeights(saved);
    tf.dispose(saved.map(({ tensor }) => tensor));
    train(again, problem, 4);
    expect(averagesOf(again, problem)).toEqual(expected);
    again.dispose();
    problem.dispose();
  });

  test('loaded averages are there before the first update', async () => {
    const problem = regression(8, 'loaded');
    const optimizer = recipe('scheduleFree', { learningRate: 0.05 });
    train(optimizer, problem, 3);
    const expected = averagesOf(optimizer, problem);
    const saved = (await optimizer.getWeights()).map(({ name, tensor }) => ({ name, tensor: tensor.clone() }));
    optimizer.dispose();
    const again = recipe('scheduleFree', { learningRate: 0.05 });
    await again.setWeights(saved);
    expect(averagesOf(again, problem)).toEqual(expected);
    // One variable that is listed alone leaves the others theirs.
    again.dispose();
    const third = recipe('scheduleFree', { learningRate: 0, onMissingGradient: 'skip' });
    await third.setWeights(saved);
    const given = gradients(problem, 0);
    third.applyGradients({ [problem.variables[0]!.name]: given[problem.variables[0]!.name]! });
    expect(averagesOf(third, problem)).toEqual(expected);
    third.dispose();
    problem.dispose();
    // Under other names they are found by the first update.
    const other = regression(8, 'renamed');
    const fourth = recipe('scheduleFree', { learningRate: 0.05 });
    await fourth.setWeights(saved);
    expect(() => fourth.withAveragedWeights(() => 0)).toThrow(
      /^averagedWeights: expected live variables of the names that the state was saved with/,
    );
    fourth.applyGradients(Object.fromEntries(Object.values(given).map((g, i) => [other.variables[i]!.name, g])));
    expect(averagesOf(fourth, other)).not.toEqual(valuesOf(other.variables));
    fourth.dispose();
    other.dispose();
    tf.dispose([given, ...saved.map(({ tensor }) => tensor)]);
  });

  test('disposed variables have no average, and a scope that ends takes nothing away', async () => {
    const problem = regression(9);
    const optimizer = recipe('scheduleFree', { learningRate: 0.05 });
    train(optimizer, problem, 3);
    const inTraining = valuesOf(problem.variables);
    tf.engine().startScope();
    const waiting = optimizer.withAveragedWeights(async () => void (await tf.nextFrame()));
    tf.engine().endScope();
    await waiting;
    expect(valuesOf(problem.variables)).toEqual(inTraining);
    // What can be waited for need not be a promise of JavaScript's own.
    const waited = { at: 0 };
    const thenable = Object.defineProperty(waited, 'then', {
      value: (done: (values: Float32Array[]) => void) => done(valuesOf(problem.variables)),
    });
    expect(await optimizer.withAveragedWeights(() => thenable)).not.toEqual(inTraining);
    expect(() => optimizer.withAveragedWeights(3 as never)).toThrow(
      'withAveragedWeights: expected a function to call, found 3',
    );
    problem.variables[0]!.dispose();
    expect([...optimizer.averagedWeights().keys()]).toEqual(problem.variables.slice(1).map(({ name }) => name));
    expect(optimizer.withAveragedWeights(() => valuesOf(problem.variables.slice(1)))).not.toEqual(inTraining.slice(1));
    optimizer.dispose();
    problem.dispose();
  });

  test('a description in JSON gives the same rule back', () => {
    for (const rule of [averaged(adamW(), { decay: 0.5 }), scheduleFree(rmsprop(), { beta: 0.5, power: 1 })]) {
      const again = ruleFromJson(JSON.parse(JSON.stringify({ kind: rule.kind, options: rule.options })));
      expect({ ...again.options, kind: again.kind }).toEqual({ ...rule.options, kind: rule.kind });
    }
    const optimizer = recipes.scheduleFree({ beta: 0.8, weightDecay: 0.1, rule: 'signSgd' });
    expect(JSON.stringify(optimizer.toJSON())).toContain('"weightDecay":0.1');
    expect(String(optimizer)).toContain('scheduleFree');
    optimizer.dispose();
  });

  test('there is one average, around the whole rule', () => {
    expect(() => averaged(scheduleFree(adamW()))).toThrow(
      'averaged.rule: expected one average of the weights, found scheduleFree, which keeps an average of the weights itself. Leave out averaged, or that inside.',
    );
    expect(() => frugal(averaged(adamW()))).toThrow(
      'subspace.rule: expected a rule for a part of the gradient, found averaged, which keeps an average of the weights. Put it around the whole: averaged(subspace({ … })).',
    );
    expect(() =>
      subspace({ projector: rows({ density: 0.5 }), rule: adamW(), combine: residual(scheduleFree(signSgd())) }),
    ).toThrow('subspace.combine.rule: expected a rule for a part of the gradient, found scheduleFree');
    expect(limitGrowth(averaged(adamW()))).toHaveProperty('average');
  });

  test.each([
    [() => averaged(adamW(), { decay: 1 }), 'averaged.decay: expected a number in [0, 1), found 1'],
    [() => scheduleFree(adamW(), { beta: 0 }), 'scheduleFree.beta: expected a number in (0, 1], found 0'],
    [() => scheduleFree(adamW(), { power: -1 }), 'scheduleFree.power: expected a number in [0, Infinity), found -1'],
    [() => averaged(adamW(), { beta: 0.9 } as object), 'averaged.beta'],
    [() => recipes.scheduleFree({ beta: 2 }), 'scheduleFree.beta: expected a number in (0, 1], found 2'],
  ])('%s is refused', (make, message) => {
    expect(make).toThrow(message);
  });

  test('rates that would leave float32 as powers are weighed by their ratios', () => {
    const problem = regression(7);
    const optimizer = compose({ learningRate: 1e-25, groups: [{ use: scheduleFree(signSgd()) }] });
    problem.variables[0]!.assign(tf.zerosLike(problem.variables[0]!));
    for (let i = 0; i < 4; i++) {
      const ones = Object.fromEntries(problem.variables.map(({ name, shape }) => [name, tf.ones(shape)]));
      optimizer.applyGradients(ones);
      tf.dispose(ones);
    }
    // z went -1, -2, -3, -4; x is the mean of these.
    const [x] = averagesOf(optimizer, problem);
    expect(x![0]! / 1e-25).toBeCloseTo(-2.5, 3);
    optimizer.dispose();
    problem.dispose();
  });
});
