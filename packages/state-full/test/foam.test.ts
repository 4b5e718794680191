import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { compose } from '@frugaljs/composer';
import { type Shape, slotBytes } from '@frugaljs/core';
import { adamW, type FoamOptions, foam } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { expectAllClose } from '../../../tools/test-support/closeness.js';
import { gradientStream, SHAPES } from '../../../tools/test-support/gradients.js';
import { directions, RuleRun } from '../../../tools/test-support/rule-run.js';

/** The published recursion in float64, entry by entry. */
function reference(
  gradients: readonly ArrayLike<number>[],
  shape: Shape,
  { level = 1, beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, residualScale: s = 1 }: FoamOptions,
): number[][] {
  const n = 2 ** level;
  const columns = shape.at(-1) ?? 1;
  const perRow = Math.ceil(columns / n);
  const groupOf = (i: number): number => Math.floor(i / columns) * perRow + Math.floor((i % columns) / n);
  const size = gradients[0]!.length;
  const groups = groupOf(size - 1) + 1;
  const m = new Float64Array(groups);
  const v = new Float64Array(groups);
  return gradients.map((gradient, step) => {
    const [mean, square] = [new Float64Array(groups), new Float64Array(groups)];
    for (let i = 0; i < size; i++) {
      mean[groupOf(i)]! += gradient[i]! / n;
      square[groupOf(i)]! += gradient[i]! ** 2 / n;
    }
    for (let group = 0; group < groups; group++) {
      m[group] = beta1 * m[group]! + (1 - beta1) * mean[group]!;
      v[group] = beta2 * v[group]! + (1 - beta2) * square[group]!;
    }
    const correction = Math.sqrt(1 - beta2 ** (step + 1)) / (1 - beta1 ** (step + 1));
    return Array.from(gradient, (g, i) => {
      const group = groupOf(i);
      const rest = s * (g - mean[group]!);
      return (correction * (m[group]! + rest)) / (Math.sqrt(v[group]! + rest ** 2) + epsilon);
    });
  });
}

describe.each(BACKENDS)('foam on %s', backend => {
  useBackend(backend);

  it.each<FoamOptions>([
    {},
    { level: 2, beta1: 0.8, beta2: 0.95 },
    { level: 3, epsilon: 1e-3, residualScale: 0.25 },
    { level: 1, residualScale: 0 },
    { level: 24 },
  ])('follows the published recursion with %o', options => {
    for (const shape of SHAPES) {
      const gradients = gradientStream(1, shape, 12);
      expectAllClose(directions(foam(options), shape, gradients), reference(gradients, shape, options), 4e-6);
    }
  });

  it('at level 0 is AdamW with ε before correction, to the last bit', () => {
    const options = fc.record({
      beta1: fc.constantFrom(0.9, 0, 0.5),
      beta2: fc.constantFrom(0.999, 0.95),
      epsilon: fc.constantFrom(1e-6, 0, 1e-3),
    });
    const shapes = fc.array(fc.integer({ min: 1, max: 7 }), { maxLength: 3 });
    fc.assert(
      fc.property(options, fc.constantFrom(1, 0.5, 0), shapes, fc.nat(999), (moments, residualScale, shape, seed) => {
        const gradients = gradientStream(seed, shape, 3);
        const folded = new RuleRun(foam({ ...moments, level: 0, residualScale }), shape);
        const plain = new RuleRun(adamW({ ...moments, epsilonPlacement: 'beforeCorrection' }), shape);
        for (const gradient of gradients) expect(folded.step(gradient)).toEqual(plain.step(gradient));
        for (const slot of ['m', 'v']) expect(folded.slot(slot)).toEqual(plain.slot(slot));
        expect(folded.slotShapes()).toEqual(plain.slotShapes());
        folded.dispose();
        plain.dispose();
      }),
      { numRuns: 40, seed: 5 },
    );
  });
});

describe('foam', () => {
  it.each<[number, Shape, number]>([
    [1, [3, 8], 8 * 12],
    [1, [3, 7], 8 * 12],
    [3, [3, 17], 8 * 9],
    [2, [5], 8 * 2],
    [1, [2, 3, 5], 8 * 18],
    [0, [2, 3, 5], 8 * 30],
    [24, [4, 9], 8 * 4],
  ])('at level %i keeps for [%s] %i bytes', (level, shape, bytes) => {
    expect(slotBytes(foam({ level }).state(shape), shape)).toBe(bytes);
  });

  it.each([-1, 0.5, 25, Number.NaN, '1'])('refuses the level %s', level => {
    expect(() => foam({ level: level as number })).toThrow('foam.level');
  });
});

interface Trajectory {
  readonly name: string;
  readonly config: Readonly<Record<'level' | 'scale' | 'lr' | 'weight_decay', number>>;
  readonly params: readonly { name: string; shape: number[]; projectable: boolean; init: number[] }[];
  readonly steps: readonly { grads: number[][]; params: number[][] }[];
}

const ROOT = resolve(fileURLToPath(new URL('../../..', import.meta.url)));
const RUNS = join(process.env['FRUGAL_REFERENCE'] ?? join(ROOT, '..', 'shared', 'reference'), 'relatives.json');

describe.skipIf(!existsSync(RUNS))('runs of the official code', () => {
  afterEach(() => tf.disposeVariables());

  const cases = existsSync(RUNS)
    ? (JSON.parse(readFileSync(RUNS, 'utf8')) as { cases: readonly Trajectory[] }).cases
    : [];

  // α of the official code scales the step, not the residual: `lrScale` of a group.
  it.each(BACKENDS)('are repeated by compose() on %s', async backend => {
    await tf.setBackend(backend);
    const { config, params, steps } = cases.find(({ name }) => name === 'foam')!;
    const { level, scale, lr, weight_decay: weightDecay } = config;
    const variables = params.map(({ name, shape, init }) => tf.variable(tf.tensor(init, shape), true, name));
    const folded = params.filter(({ projectable }) => projectable).map(({ name }) => name);
    const shared = { weightDecay, decay: 'after' } as const;
    const optimizer = compose({
      learningRate: lr,
      groups: [
        { match: folded, use: foam({ level }), lrScale: scale, ...shared },
        { use: adamW({ epsilonPlacement: 'beforeCorrection' }), ...shared },
      ],
    });
    let worst = 0;
    for (const { grads, params: after } of steps) {
      const gradients = Object.fromEntries(params.map(({ name, shape }, i) => [name, tf.tensor(grads[i]!, shape)]));
      optimizer.applyGradients(gradients);
      tf.dispose(gradients);
      variables.forEach((variable, i) => {
        const largest = Math.max(...after[i]!.map(Math.abs));
        variable.dataSync().forEach((x, j) => {
          worst = Math.max(worst, Math.abs(x - after[i]![j]!) / largest);
        });
      });
    }
    expect(worst).toBeLessThan(1e-5);
    optimizer.dispose();
  });
});
