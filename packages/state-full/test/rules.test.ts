import { type Rule, type Shape, sizeOf, slotBytes } from '@frugaljs/core';
import {
  adafactor,
  adagrad,
  adaLayer,
  adamMini,
  adamW,
  factoredAdamW,
  foam,
  ldAdam,
  muon,
  oneSidedAdafactor,
  rmsprop,
  STATE_FULL_RULES,
  sgdm,
  soap,
} from '@frugaljs/state-full';
import { memory } from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { gradientStream, SHAPES } from '../../../tools/test-support/gradients.js';
import { describeOptions } from '../../../tools/test-support/rule-catalog.js';
import { directions, RuleRun } from '../../../tools/test-support/rule-run.js';

/** Every rule with its default options, and the variants that take another path through `step`. */
const RULES: readonly Rule[] = [
  ...STATE_FULL_RULES.map(entry => entry.factory()),
  adamW({ epsilon: 0 }),
  adamW({ epsilonPlacement: 'beforeCorrection' }),
  sgdm({ momentum: 0 }),
  sgdm({ convention: 'ema', biasCorrection: true, nesterov: true }),
  sgdm({ sign: true, initial: 'firstGradient' }),
  adaLayer({ per: 'row', epsilon: 0, normalization: 'sqrtNumel' }),
  adaLayer({ per: 'column' }),
  adafactor({ beta1: 0.9, relativeStep: true, warmupInit: true }),
  factoredAdamW({ secondMomentOf: 'momentum', epsilon: 0 }),
  oneSidedAdafactor({ per: 'column', epsilon: 0 }),
  rmsprop({ centered: true, momentum: 0.9 }),
  rmsprop({ epsilon: 0 }),
  adamMini({ heads: 1 }),
  adamMini({ heads: 1, block: 'column', epsilon: 0 }),
  foam({ level: 0 }),
  foam({ level: 3, epsilon: 0, residualScale: 0.5 }),
  foam({ level: 2, residualScale: 0 }),
  muon({ nesterov: false, outputs: 'columns' }),
  adagrad({ epsilon: 0, initialAccumulator: 0.1, learningRateDecay: 0.01 }),
  ldAdam({ rank: 1, side: 'reverse_std', epsilon: 0 }),
  ldAdam({ density: 1, feedback: false }),
  soap({ every: 1, epsilon: 0 }),
  soap({ maxDimension: 3, biasCorrection: false }),
];

/** Rules for matrices alone. */
const MATRIX_RULES: readonly string[] = ['muon', 'ldAdam', 'soap'];

const NAMED = RULES.map(rule => [`${rule.kind} ${JSON.stringify(rule.options)}`, rule] as const);

/** The shapes that a rule accepts. */
function shapesOf(rule: Rule): readonly Shape[] {
  return SHAPES.filter(shape => !MATRIX_RULES.includes(rule.kind) || shape.length === 2);
}

describe.each(NAMED)('%s', (_name, rule) => {
  describeOptions(rule, STATE_FULL_RULES, { learningRate: 1e-3 });
});

describe('the table of rules', () => {
  it.each(STATE_FULL_RULES)('names $kind and its bytes', ({ kind, factory, stateBytes }) => {
    const rule = factory();
    expect(rule.kind).toBe(kind);
    if (rule.type === 'subspace') throw new Error('not a rule of this package');
    for (const shape of shapesOf(rule)) expect(slotBytes(rule.state(shape), shape)).toBe(stateBytes(shape));
  });

  it.each(STATE_FULL_RULES)('has the formula of $kind', ({ stateBytes, stateFormula }) => {
    const [m, n] = [7, 11];
    const r = Math.round(m / 4);
    const javascript = stateFormula
      .replace(/(?<=[\dmnr)]) (?=[mnr(⌈])/g, ' * ')
      .replace('⌈', 'Math.ceil(')
      .replace('⌉', ')');
    expect(stateBytes([m, n])).toBe(new Function('m', 'n', 'r', `return ${javascript}`)(m, n, r));
  });

  it('lists every factory once', () => {
    const kinds = STATE_FULL_RULES.map(entry => entry.kind);
    expect(new Set(kinds).size).toBe(kinds.length);
  });

  it.each([
    ['ada-layer', 'adaLayer'],
    ['adafactor', 'adafactor'],
    ['adagrad', 'adagrad'],
    ['adam-mini', 'adamMini'],
    ['adam-w', 'adamW'],
    ['factored-adam-w', 'factoredAdamW'],
    ['foam', 'foam'],
    ['ld-adam', 'ldAdam'],
    ['lion', 'lion'],
    ['muon', 'muon'],
    ['one-sided-adafactor', 'oneSidedAdafactor'],
    ['rmsprop', 'rmsprop'],
    ['sgdm', 'sgdm'],
    ['soap', 'soap'],
  ])('imports %s alone', async (file, kind) => {
    const module: Record<string, unknown> = await import(`@frugaljs/state-full/${file}`);
    expect(module[kind]).toBe(STATE_FULL_RULES.find(entry => entry.kind === kind)!.factory);
  });
});

describe.each(BACKENDS)('on %s', backend => {
  useBackend(backend);

  describe.each(NAMED)('%s', (_name, rule) => {
    it('does not move for gradients of 0', () => {
      for (const shape of shapesOf(rule)) {
        const zeros = new Float32Array(sizeOf(shape));
        for (const d of directions(rule, shape, [zeros, zeros])) expect(d.every(x => x === 0)).toBe(true);
      }
    });

    it('passes NaN on', () => {
      for (const shape of shapesOf(rule)) {
        const run = new RuleRun(rule, shape);
        const gradient = gradientStream(40, shape, 1)[0]!;
        run.step(gradient);
        const broken = gradient.map((g, i) => (i === 0 ? Number.NaN : g));
        expect(run.step(broken)[0]).toBeNaN();
        run.dispose();
      }
    });

    it('treats a tensor as the matrix of its last axis', () => {
      if (MATRIX_RULES.includes(rule.kind)) return;
      const gradients = gradientStream(41, [2, 3, 4], 5);
      expect(directions(rule, [2, 3, 4], gradients)).toEqual(directions(rule, [6, 4], gradients));
    });

    it('frees everything but its result', () => {
      for (const shape of shapesOf(rule)) {
        const gradient = gradientStream(42, shape, 1)[0]!;
        const before = memory().numTensors;
        const run = new RuleRun(rule, shape);
        const slots = memory().numTensors;
        run.step(gradient);
        run.step(gradient);
        expect(memory().numTensors).toBe(slots);
        run.dispose();
        expect(memory().numTensors).toBe(before);
      }
    });
  });
});
