import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import { compose } from '@frugaljs/composer';
import { type Rule, randomKey, randomNormals } from '@frugaljs/core';
import { normalizedSgd, STATE_FREE_RULES, sinkGd } from '@frugaljs/state-free';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, test } from 'vitest';
import { BACKENDS } from '../../../tools/test-support/backends.js';
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
} from '../src/index.js';

const RULES: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries([...STATE_FULL_RULES, ...STATE_FREE_RULES].map(({ kind, factory }) => [kind, factory()])),
  'rmsprop, centered': rmsprop({ centered: true }),
  'rmsprop, centered, ε 0': rmsprop({ centered: true, epsilon: 0, momentum: 0.9 }),
  'rmsprop, α 0': rmsprop({ alpha: 0, centered: true }),
  'adamW, ε 0': adamW({ epsilon: 0 }),
  'adamW, β 0': adamW({ beta1: 0, beta2: 0 }),
  'adamW, β₂ 0, ε 0': adamW({ beta2: 0, epsilon: 0 }),
  'adamW before correction': adamW({ epsilonPlacement: 'beforeCorrection' }),
  'adaLayer per row, sqrtNumel': adaLayer({ per: 'row', normalization: 'sqrtNumel', epsilon: 0 }),
  'adaLayer per column, β₂ 0': adaLayer({ per: 'column', beta2: 0 }),
  'adamMini, heads': adamMini({ heads: 2 }),
  'adamMini, heads, β₂ 0': adamMini({ heads: 2, beta2: 0 }),
  'adamMini per element': adamMini({ block: 'element' }),
  'adafactor with everything': adafactor({ beta1: 0.9, scaleParameter: true, relativeStep: true }),
  'adafactor, smallest ε₁': adafactor({ epsilon1: 1e-37 }),
  'factoredAdamW of momentum': factoredAdamW({ secondMomentOf: 'momentum', epsilon: 0 }),
  'factoredAdamW, β₂ 0': factoredAdamW({ beta2: 0 }),
  'oneSidedAdafactor per column': oneSidedAdafactor({ per: 'column', epsilon: 0 }),
  'oneSidedAdafactor, β₂ 0': oneSidedAdafactor({ beta2: 0 }),
  'foam, ε 0': foam({ epsilon: 0 }),
  'foam of groups of 8': foam({ level: 3 }),
  'foam, β 0': foam({ beta1: 0, beta2: 0 }),
  'foam of single entries': foam({ level: 0 }),
  'muon plain': muon({ nesterov: false, momentum: 0 }),
  'adagrad, ε 0': adagrad({ epsilon: 0 }),
  'ldAdam from the larger side': ldAdam({ side: 'reverse_std' }),
  'ldAdam, β 0, ε 0': ldAdam({ beta1: 0, beta2: 0, epsilon: 0, feedback: false }),
  'soap, every step': soap({ every: 1 }),
  'soap, β 0, ε 0': soap({ beta1: 0, beta2: 0, shampooBeta: 0, epsilon: 0, every: 1 }),
  'soap from one side': soap({ maxDimension: 8 }),
  'sgdm ema, bias-corrected': sgdm({ convention: 'ema', biasCorrection: true, nesterov: true }),
  'sgdm, signs': sgdm({ sign: true }),
  'normalizedSgd per row': normalizedSgd({ per: 'row', epsilon: 0 }),
  'normalizedSgd per column, rms': normalizedSgd({ per: 'column', norm: 'rms' }),
  'sinkGd, one round': sinkGd({ iterations: 1 }),
};

const LARGEST = 2 ** 128 - 2 ** 104;
const SMALLEST = 2 ** -149;
/** Subnormal numbers, those with subnormal squares, plain ones, those with squares close to infinity and beyond it. */
const SCALES = [SMALLEST, 1e-44, 1e-37, 1e-30, 1e-22, 1e-19, 1, 1e10, 1e18, 1.8e19, 1e22, 1e36, 1e38, LARGEST];
/** What the entries are that are not of the scale. */
const RESTS = [0, 1e-20];
const [ROWS, COLUMNS] = [6, 10];
const STEPS = 3;

/** Which entries are of the scale. */
const PATTERNS: Readonly<Record<string, (row: number, column: number) => boolean>> = {
  'all entries': () => true,
  'one entry': (row, column) => row === 1 && column === 3,
  'one row': row => row === 2,
  'one column but for an entry': (row, column) => column === 4 && row !== 5,
};

/** From -1 to 1, or all alike. */
const SIGNS: Readonly<Record<string, (x: number) => number>> = {
  drawn: x => Math.max(-1, Math.min(1, x)),
  equal: () => 1,
};

/** The sum of `sgdm` leaves float32 with the second of the largest gradients; see its docstring. */
const overflows = (name: string, scale: number): boolean => name === 'sgdm' && scale === LARGEST;

/** What of weights and state is not finite after some steps, in words; state may be infinite, but not NaN. */
async function faultsOf(
  rule: Rule,
  kernels: 'auto' | 'reference',
  gradients: readonly Float32Array[],
): Promise<string> {
  const w = tf.variable(tf.ones([ROWS, COLUMNS]), true, 'w');
  const optimizer = compose({ learningRate: 1e-3, groups: [{ use: rule }], kernels });
  for (const gradient of gradients) {
    const g = tf.tensor(gradient, [ROWS, COLUMNS]);
    optimizer.applyGradients({ w: g });
    g.dispose();
  }
  const state = (await optimizer.getWeights()).map(({ name, tensor }) => [name, [...tensor.dataSync()]] as const);
  const faults = state.filter(([, values]) => values.some(Number.isNaN)).map(([name]) => `NaN in ${name}`);
  const bad = w.dataSync().find(value => !Number.isFinite(value));
  if (bad !== undefined) faults.push(`${bad} in the weights`);
  optimizer.dispose();
  w.dispose();
  return faults.join(', ');
}

// Also when a test has failed.
afterEach(() => tf.disposeVariables());

describe.each(BACKENDS)('finite gradients of every magnitude make finite steps on %s', backend => {
  describe.each(['auto', 'reference'] as const)('kernels %s', kernels => {
    test.each(Object.keys(RULES))('%s', async name => {
      await tf.setBackend(backend);
      const faults: string[] = [];
      for (const [pattern, isLarge] of Object.entries(PATTERNS)) {
        for (const [signs, entry] of Object.entries(SIGNS).slice(0, pattern === 'all entries' ? 2 : 1)) {
          for (const scale of SCALES.filter(each => !overflows(name, each))) {
            for (const rest of pattern === 'all entries' ? [0] : RESTS) {
              const gradients = Array.from({ length: STEPS }, (_, step) =>
                randomNormals(randomKey(3, step), ROWS * COLUMNS).map(
                  (x, i) => entry(x) * (isLarge(Math.floor(i / COLUMNS), i % COLUMNS) ? scale : rest),
                ),
              );
              const found = await faultsOf(RULES[name]!, kernels, gradients);
              if (found !== '') faults.push(`${pattern} of ${scale}, ${signs}, among ${rest}: ${found}`);
            }
          }
        }
      }
      expect(faults).toEqual([]);
    });
  });
});

test.each(BACKENDS)(
  'an entry whose square overflows stays where it is, and its neighbors move, on %s',
  async backend => {
    await tf.setBackend(backend);
    for (const kernels of ['auto', 'reference'] as const) {
      for (const rule of [adamW(), rmsprop(), rmsprop({ centered: true })]) {
        const w = tf.variable(tf.ones([3]), true, 'w');
        const optimizer = compose({ learningRate: 0.1, groups: [{ use: rule }], kernels });
        for (const large of [1e25, 1]) {
          const g = tf.tensor1d([1, large, -1]);
          optimizer.applyGradients({ w: g });
          g.dispose();
        }
        const [first, middle, last] = w.dataSync();
        expect(middle).toBe(1);
        expect(first).toBeLessThan(0.9);
        expect(last).toBeGreaterThan(1.1);
        optimizer.dispose();
        w.dispose();
      }
    }
  },
);
