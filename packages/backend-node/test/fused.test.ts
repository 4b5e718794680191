import { compose, residual, subspace } from '@frugaljs/composer';
import { expressionRule, type Rule } from '@frugaljs/core';
import { blockwise, columns, dct, randK, rows } from '@frugaljs/projectors';
import { sgd, signSgd } from '@frugaljs/state-free';
import { adamW, lion, rmsprop, sgdm } from '@frugaljs/state-full';
import { clone, dispose, memory, reshape, slice, type Tensor2D, tensor, variable } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { difference, follow, makeGradients, makeVariables } from './runs.js';
import { missing, type Traffic, useTensorFlow, watch } from './tensorflow.js';

/** Small ones take plain operations, large ones are accumulated in place. */
const SHAPES = [[3], [4, 5], [300, 257]];

/** AdamW written down anew, with nothing of the built-in rule but its formula. */
const ownRule = (): Rule =>
  expressionRule({
    kind: 'test/ownAdam',
    options: {},
    state: () => ({ mean: { extent: 'element' }, square: { extent: 'element', degree: 2 } }),
    scalars: t => ({ rise: 1 / (1 - 0.8 ** t), spread: 1 / Math.sqrt(1 - 0.99 ** t) }),
    step: ({ g, mean, square, rise, spread }) => {
      const nextMean = g.mul(1 - 0.8).add(mean.mul(0.8));
      const nextSquare = square.mul(0.99).add(g.square().mul(1 - 0.99));
      const direction = rise.div(nextSquare.sqrt().mul(spread).add(1e-3)).mul(nextMean);
      return { direction, mean: nextMean, square: nextSquare };
    },
  });

const split = (projector: Parameters<typeof subspace>[0]['projector'], rest: Rule = signSgd()): Rule =>
  subspace({ projector, rule: adamW(), combine: residual(rest), refresh: { every: 3 } });

const RULES: Record<string, () => Rule> = {
  adamW: () => adamW(),
  'adamW, epsilon before correction': () => adamW({ epsilonPlacement: 'beforeCorrection', epsilon: 1e-3 }),
  'adamW, large epsilon': () => adamW({ epsilon: 0.1 }),
  'adamW without epsilon': () => adamW({ epsilon: 0 }),
  'adamW without moving averages': () => adamW({ beta1: 0, beta2: 0 }),
  'own rule': ownRule,
  lion: () => lion(),
  sgdm: () => sgdm(),
  rmsprop: () => rmsprop({ centered: true }),
  signSgd: () => signSgd(),
  rows: () => split(rows({ density: 0.3 }), lion()),
  columns: () => split(columns({ density: 0.3 })),
  randK: () => split(randK({ density: 0.3 })),
  'rows in columns': () => split(rows({ density: 0.3 }), split(rows({ density: 0.5 }))),
  // The sign of a residual that is rounding noise may differ between two ways to compute it.
  dct: () => split(dct({ density: 0.5 }), sgd()),
};

describe.skipIf(missing !== null)('fused updates of TensorFlow', () => {
  beforeAll(useTensorFlow);

  describe.each(Object.keys(RULES))('%s', name => {
    const make = RULES[name]!;
    const needsMatrix = /rows|columns|dct/.test(name);
    const shapes = needsMatrix ? SHAPES.filter(shape => shape.length === 2) : SHAPES;
    test.each([
      ['plain', {}],
      ['decay before, clipped norm', { weightDecay: 0.1, clip: { globalNorm: 0.7 } }],
      ['decay after, clipped entries', { weightDecay: 0.1, after: true, clip: { value: 0.5 } }],
    ])('agrees with the reference: %s', (_, options) => {
      const fused = follow(make(), shapes, { ...options, kernels: 'auto' });
      const reference = follow(make(), shapes, { ...options, kernels: 'reference' });
      for (const kernel of fused.kernels) expect(kernel).toMatch(/^TensorFlow training operations/);
      expect(difference(fused, reference)).toBeLessThan(name === 'dct' ? 2e-5 : 2e-6);
    });
  });

  test('300 steps without drift', () => {
    for (const make of [adamW, RULES['rows']!]) {
      const [fused, reference] = (['auto', 'reference'] as const).map(kernels =>
        follow(make(), [[7, 9]], { kernels, weightDecay: 0.01 }, 300),
      );
      expect(difference(fused!, reference!)).toBeLessThan(1e-5);
    }
  });

  const traffic = (use: Rule, shape: number[], options: object = {}): Traffic => {
    const variables = makeVariables([shape]);
    const optimizer = compose({ learningRate: 0.03, groups: [{ use, ...options }], onNonFinite: 'ignore' });
    const gradients = makeGradients(variables, 0);
    optimizer.applyGradients(gradients);
    optimizer.applyGradients(gradients);
    const seen = watch(() => optimizer.applyGradients(gradients));
    optimizer.dispose();
    dispose([variables, gradients]);
    return seen;
  };
  const computing = ({ operations }: Traffic): string[] =>
    operations.filter(name => !/^(AssignVariableOp|ReadVariableOp|Reshape)$/.test(name));

  test('Adam is one training operation, be it built in, written anew, clipped or decayed', () => {
    expect(computing(traffic(adamW(), [300, 257]))).toEqual(['ResourceApplyAdam']);
    expect(computing(traffic(ownRule(), [4, 5]))).toEqual(['ResourceApplyAdam']);
    expect(computing(traffic(adamW(), [300, 257], { weightDecay: 0.1 }))).toEqual(['Mul', 'ResourceApplyAdam']);
    expect(computing(traffic(split(blockwise({ density: 1 })), [300, 257]))).toEqual(['ResourceApplyAdam']);
  });

  test('rules without an operation of their own take few', () => {
    const [limit, ...others] = computing(traffic(signSgd(), [300, 257]));
    expect(limit).toMatch(/^(ClipByValue|FakeQuantWithMinMaxArgs)$/);
    expect(others).toEqual(['ResourceApplyGradientDescent']);
    expect(computing(traffic(lion(), [300, 257]))).toHaveLength(6);
    const inRows = computing(traffic(split(rows({ density: 0.3 })), [300, 257]));
    expect(inRows.filter(name => name === 'ResourceApplyAdam')).toHaveLength(1);
    expect(inRows.length).toBeLessThanOrEqual(8);
  });

  test('a step reads nothing back and uploads nothing but numbers', () => {
    for (const name of ['adamW', 'lion', 'rows', 'columns', 'randK']) {
      const seen = traffic(RULES[name]!(), [300, 257]);
      expect(seen.reads, name).toBe(0);
      expect(seen.largestUpload).toBeLessThanOrEqual(2);
    }
  });

  test('checking gradients reads one number for each, clipping their norm one for all', () => {
    const variables = makeVariables([[3, 4], [5], [2, 2]]);
    const gradients = makeGradients(variables, 0);
    for (const [clip, reads] of [
      [{}, 3],
      [{ globalNorm: 1 }, 1],
    ] as const) {
      const optimizer = compose({ learningRate: 0.03, groups: [{ use: adamW() }], clip });
      optimizer.applyGradients(gradients);
      expect(watch(() => optimizer.applyGradients(gradients)).reads).toBe(reads);
      optimizer.dispose();
    }
    dispose([variables, gradients]);
  });

  test('squares that overflow are no NaN, and NaN is found', () => {
    const [w] = makeVariables([[2, 2]]) as [ReturnType<typeof variable>];
    const optimizer = compose({ learningRate: 1, groups: [{ use: signSgd() }], clip: { globalNorm: 1 } });
    const huge = { [w.name]: tensor([1e30, -1e30, 0, 1e30], [2, 2]) };
    const before = w.dataSync().slice();
    optimizer.applyGradients(huge);
    expect([...w.dataSync()]).toEqual([...before].map((x, i) => Math.fround(x - [1, -1, 0, 1][i]!)));
    for (const bad of [Number.NaN, Number.POSITIVE_INFINITY]) {
      const gradient = { [w.name]: tensor([1, bad, 0, 1], [2, 2]) };
      const values = w.dataSync().slice();
      expect(() => optimizer.applyGradients(gradient)).toThrow(/NaN or Inf/);
      expect(w.dataSync()).toEqual(values);
      dispose(gradient);
    }
    optimizer.dispose();
    dispose([w, huge]);
  });

  test.each([['adamW'], ['signSgd'], ['rows']])('%s never writes what somebody else holds', name => {
    const values = Float32Array.from({ length: 300 * 257 }, (_, i) => Math.sin(i));
    const original = values.slice();
    const given = tensor(values, [300, 257]) as Tensor2D;
    const w = variable(given);
    given.dispose();
    const optimizer = compose({ learningRate: 0.1, groups: [{ use: RULES[name]!() }] });
    const gradient = { [w.name]: tensor(original.slice(), [300, 257]) };
    const read = w.dataSync();
    for (let step = 0; step < 4; step++) {
      // A clone shares the data of tfjs; a part and another shape share the buffer without tfjs knowing.
      const held = [clone(w), slice(w, [0, 0], [100, 257]), reshape(w, [257, 300])];
      const before = held.map(x => x.dataSync().slice());
      optimizer.applyGradients(gradient);
      held.forEach((x, i) => void expect(x.dataSync()).toEqual(before[i]));
      expect((w.dataSync() as Float32Array)[1]).not.toBe((before[0] as Float32Array)[1]);
      dispose(held);
    }
    expect(values).toEqual(original);
    expect(read).toEqual(original);
    expect(gradient[w.name]!.dataSync()).toEqual(original);
    const held = memory().numTensors;
    optimizer.dispose();
    expect(memory().numTensors).toBeLessThan(held + 1);
    dispose([w, gradient]);
  });
});
