import type { Shape } from '@frugaljs/core';
import { type AdamWOptions, adamW } from '@frugaljs/state-full';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { expectAllClose, expectClose } from '../../../tools/test-support/closeness.js';
import { gradientStream, SHAPES } from '../../../tools/test-support/gradients.js';
import { directions, RuleRun } from '../../../tools/test-support/rule-run.js';

/** The published recursion, entry by entry in float64. */
function reference(gradients: readonly ArrayLike<number>[], options: Required<AdamWOptions>): number[][] {
  const { beta1, beta2, epsilon, biasCorrection, epsilonPlacement } = options;
  const m = new Float64Array(gradients[0]!.length);
  const v = new Float64Array(gradients[0]!.length);
  return gradients.map((gradient, step) => {
    const c1 = biasCorrection ? 1 - beta1 ** (step + 1) : 1;
    const c2 = biasCorrection ? 1 - beta2 ** (step + 1) : 1;
    return Array.from(gradient, (g, i) => {
      m[i] = beta1 * m[i]! + (1 - beta1) * g;
      v[i] = beta2 * v[i]! + (1 - beta2) * g * g;
      return epsilonPlacement === 'afterCorrection'
        ? m[i]! / c1 / (Math.sqrt(v[i]! / c2) + epsilon)
        : ((Math.sqrt(c2) / c1) * m[i]!) / (Math.sqrt(v[i]!) + epsilon);
    });
  });
}

/** Largest |d| after t steps with ε ≥ 0, by the Cauchy–Schwarz inequality. */
function stepBound(t: number, beta1: number, beta2: number): number {
  const q = beta1 ** 2 / beta2;
  const geometric = Math.sqrt((1 - q ** t) / (1 - q));
  return (((1 - beta1) / Math.sqrt(1 - beta2)) * geometric * Math.sqrt(1 - beta2 ** t)) / (1 - beta1 ** t);
}

const DEFAULTS: Required<AdamWOptions> = {
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  biasCorrection: true,
  epsilonPlacement: 'afterCorrection',
};

describe.each(BACKENDS)('adamW on %s', backend => {
  useBackend(backend);

  const variants: AdamWOptions[] = [
    {},
    { beta1: 0.8, beta2: 0.95, epsilon: 1e-3 },
    { biasCorrection: false },
    { epsilon: 1e-2, epsilonPlacement: 'beforeCorrection' },
    { epsilonPlacement: 'beforeCorrection', biasCorrection: false, epsilon: 1e-6 },
    { beta1: 0 },
  ];
  it.each(variants)('follows the published recursion with %o', options => {
    for (const shape of SHAPES) {
      const gradients = gradientStream(1, shape, 12);
      expectAllClose(directions(adamW(options), shape, gradients), reference(gradients, { ...DEFAULTS, ...options }));
    }
  });

  it('keeps both moments', () => {
    const shape: Shape = [3, 5];
    const gradients = gradientStream(2, shape, 12);
    const run = new RuleRun(adamW({ beta1: 0.7, beta2: 0.9 }), shape);
    const m = new Float64Array(15);
    const v = new Float64Array(15);
    for (const gradient of gradients) {
      run.step(gradient);
      gradient.forEach((g, i) => {
        m[i] = 0.7 * m[i]! + (1 - 0.7) * g;
        v[i] = 0.9 * v[i]! + (1 - 0.9) * g * g;
      });
    }
    expectClose(run.slot('m'), m);
    expectClose(run.slot('v'), v);
    run.dispose();
  });

  it('takes the sign as its first step when ε is 0, zeros included', () => {
    const d = directions(adamW({ epsilon: 0 }), [5], [[3, -1e-12, 0, 1e12, -0.5]])[0]!;
    expectClose(d, [1, -1, 0, 1, -1], 1e-6);
    expect(d[2]).toBe(0);
  });

  it('is scale invariant when ε is 0', () => {
    const gradients = gradientStream(3, [4, 4], 25);
    const scaled = (factor: number) => gradients.map(gradient => gradient.map(g => factor * g));
    const original = directions(adamW({ epsilon: 0 }), [4, 4], gradients);
    expectAllClose(directions(adamW({ epsilon: 0 }), [4, 4], scaled(37.5)), original);
    // Powers of two change no rounding, so the agreement is to the last bit.
    expect(directions(adamW({ epsilon: 0 }), [4, 4], scaled(2 ** -20))).toEqual(original);
  });
});

describe('adamW', () => {
  useBackend('cpu');

  it('never exceeds the Cauchy–Schwarz bound of a step', () => {
    const gradient = fc.double({ min: -1e3, max: 1e3, noNaN: true });
    const streams = fc.array(gradient, { minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(streams, fc.constantFrom([0.9, 0.999], [0.5, 0.9], [0.9, 0.95]), (stream, [beta1, beta2]) => {
        const rule = adamW({ beta1: beta1!, beta2: beta2!, epsilon: 0 });
        const steps = directions(
          rule,
          [1],
          stream.map(g => [Math.abs(g) < 1e-6 ? 0 : g]),
        );
        steps.forEach((d, k) => {
          expect(Math.abs(d[0]!)).toBeLessThanOrEqual(stepBound(k + 1, beta1!, beta2!) * (1 + 1e-5));
        });
      }),
      { seed: 11, numRuns: 60 },
    );
  });

  it('reaches the bound for gradients that grow as (β₂ / β₁)ᵗ', () => {
    const steps = 60;
    const gradients = Array.from({ length: steps }, (_, k) => [(0.999 / 0.9) ** k]);
    const last = directions(adamW({ epsilon: 0 }), [1], gradients)[steps - 1]![0]!;
    expect(last / stepBound(steps, 0.9, 0.999)).toBeCloseTo(1, 4);
    expect(stepBound(1, 0.9, 0.999)).toBeCloseTo(1, 12);
    expect(stepBound(1000, 0.9, 0.999)).toBeCloseTo(5.78, 2);
    expect(stepBound(1e6, 0.9, 0.999)).toBeCloseTo(7.27, 2);
  });

  it('adds ε after or before the correction', () => {
    // At t = 1 the two denominators are |g| + ε and |g| + ε / √(1 - β₂).
    const first = (options: AdamWOptions) => directions(adamW({ epsilon: 1e-6, ...options }), [1], [[1e-6]])[0]![0]!;
    expect(first({ epsilonPlacement: 'afterCorrection' })).toBeCloseTo(1 / 2, 5);
    expect(first({ epsilonPlacement: 'beforeCorrection' })).toBeCloseTo(1 / (1 + 1 / Math.sqrt(0.001)), 5);
  });
});
