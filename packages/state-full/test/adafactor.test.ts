import { InvalidOptionError, matrixView, type Shape } from '@frugaljs/core';
import { type AdafactorOptions, adafactor } from '@frugaljs/state-full';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { expectAllClose, expectClose } from '../../../tools/test-support/closeness.js';
import { gradientStream, SHAPES } from '../../../tools/test-support/gradients.js';
import { directions, RuleRun } from '../../../tools/test-support/rule-run.js';
import { columnMeans, meanOf, rmsOf, rowMeans } from './matrix.js';

const DEFAULTS: Required<AdafactorOptions> = {
  decayExponent: -0.8,
  epsilon1: 1e-30,
  epsilon2: 1e-3,
  clipThreshold: 1,
  beta1: null,
  scaleParameter: false,
  relativeStep: false,
  warmupInit: false,
};

function reference(
  gradients: readonly ArrayLike<number>[],
  shape: Shape,
  options: AdafactorOptions,
  parameter?: ArrayLike<number>,
): number[][] {
  const o = { ...DEFAULTS, ...options };
  const [rows, columns] = matrixView(shape);
  let r = new Array<number>(rows).fill(0);
  let c = new Array<number>(columns).fill(0);
  let v = new Array<number>(rows * columns).fill(0);
  let m = new Array<number>(rows * columns).fill(0);
  return gradients.map((gradient, step) => {
    const t = step + 1;
    const beta2 = 1 - t ** o.decayExponent;
    const average = (old: number[], next: readonly number[]) => old.map((x, i) => beta2 * x + (1 - beta2) * next[i]!);
    const squares = Array.from(gradient, g => g * g + o.epsilon1);
    let estimate: (i: number) => number;
    if (shape.length < 2) {
      v = average(v, squares);
      estimate = i => v[i]!;
    } else {
      r = average(r, rowMeans(squares, shape));
      c = average(c, columnMeans(squares, shape));
      const mean = meanOf(r);
      estimate = i => (r[Math.floor(i / columns)]! * c[i % columns]!) / mean;
    }
    const x = Array.from(gradient, (g, i) => g / Math.sqrt(estimate(i)));
    let scale = 1 / Math.max(1, rmsOf(x) / o.clipThreshold);
    if (o.scaleParameter) scale *= Math.max(o.epsilon2, rmsOf(parameter!));
    if (o.relativeStep) scale *= Math.min(o.warmupInit ? 1e-6 * t : 1e-2, 1 / Math.sqrt(t));
    const scaled = x.map(value => value * scale);
    const { beta1 } = o;
    if (beta1 === null) return scaled;
    m = m.map((old, i) => beta1 * old + (1 - beta1) * scaled[i]!);
    return m;
  });
}

describe.each(BACKENDS)('adafactor on %s', backend => {
  useBackend(backend);

  const variants: AdafactorOptions[] = [
    {},
    { beta1: 0.9 },
    { clipThreshold: 0.5, decayExponent: -0.5 },
    { scaleParameter: true },
    { scaleParameter: true, epsilon2: 10 },
    { relativeStep: true, warmupInit: true },
    { relativeStep: true, scaleParameter: true, beta1: 0.5 },
  ];
  it.each(variants)('follows the published recursion with %o', options => {
    for (const shape of SHAPES) {
      const gradients = gradientStream(17, shape, 12);
      const parameter = gradientStream(18, shape, 1)[0]!;
      expectAllClose(
        directions(adafactor(options), shape, gradients, parameter),
        reference(gradients, shape, options, parameter),
        4e-6,
      );
    }
  });

  it('is exact on squares of rank one', () => {
    // |g_ij| = a_t u_i w_j in every step, so the full second moment is known in closed form.
    const rows = [0.1, 3, 40];
    const columns = [1e-3, 0.2, 5, 7];
    const sizes = [1, 0.25, 8, 3, 0.5];
    const gradients = sizes.map((a, t) =>
      rows.flatMap((u, i) => columns.map((w, j) => ((i + 2 * j + t) % 2 === 0 ? a : -a) * u * w)),
    );
    const rule = adafactor({ clipThreshold: 100 });
    let v = 0;
    directions(rule, [3, 4], gradients).forEach((d, step) => {
      const beta2 = 1 - (step + 1) ** -0.8;
      v = beta2 * v + (1 - beta2) * sizes[step]! ** 2;
      const size = sizes[step]! / Math.sqrt(v);
      expectClose(
        d,
        gradients[step]!.map(g => Math.sign(g) * size),
      );
    });
  });

  it('stays finite from the smallest to the largest gradients of float32', () => {
    for (const scale of [1e-18, 1e-12, 1, 1e12, 1e17]) {
      for (const shape of [[4], [3, 4]]) {
        const size = shape.reduce((a, b) => a * b, 1);
        const gradient = Array.from({ length: size }, (_, i) => scale * (i - 3));
        const run = new RuleRun(adafactor(), shape);
        for (let t = 0; t < 3; t++) {
          const d = run.step(gradient);
          expect(d.every(Number.isFinite)).toBe(true);
          expect(rmsOf(d)).toBeLessThanOrEqual(1 + 1e-5);
        }
        run.dispose();
      }
    }
  });
});

describe('adafactor', () => {
  useBackend('cpu');

  it('clips the root mean square of the direction, and only from above', () => {
    const large = [1e-3, 1e-3, 1e-3, 5];
    const run = new RuleRun(adafactor({ clipThreshold: 0.25 }), [4]);
    expect(rmsOf(run.step(large))).toBeCloseTo(0.25, 6);
    run.dispose();
    const small = new RuleRun(adafactor(), [2]);
    small.step([1, 1]);
    const [expected] = reference(
      [
        [1, 1],
        [1e-3, 1e-3],
      ],
      [2],
      {},
    ).slice(1);
    const d = small.step([1e-3, 1e-3]);
    expectClose(d, expected!);
    expect(rmsOf(d)).toBeLessThan(0.01);
    small.dispose();
  });

  it('keeps row and column means of matrices, everything of vectors, and momentum on request', () => {
    const matrix = adafactor().state([3, 5]);
    expect(Object.entries(matrix).map(([name, slot]) => [name, slot.extent])).toEqual([
      ['r', 'row'],
      ['c', 'column'],
    ]);
    expect(Object.keys(adafactor().state([5]))).toEqual(['v']);
    expect(Object.keys(adafactor({ beta1: 0.9 }).state([3, 5]))).toEqual(['m', 'r', 'c']);
  });

  it('asks for the parameter only when it scales by it', () => {
    expect(adafactor().reads).toEqual([]);
    expect(adafactor({ scaleParameter: true }).reads).toEqual(['parameter']);
  });

  it('rejects a warm-up without a step size of its own', () => {
    expect(() => adafactor({ warmupInit: true })).toThrow(InvalidOptionError);
    expect(() => adafactor({ epsilon1: 1e-45 })).toThrow(/adafactor.epsilon1/);
  });
});
