import { matrixView, type Shape } from '@frugaljs/core';
import { adamW, type FactoredAdamWOptions, factoredAdamW } from '@frugaljs/state-full';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { expectAllClose } from '../../../tools/test-support/closeness.js';
import { gradientStream, SHAPES } from '../../../tools/test-support/gradients.js';
import { directions } from '../../../tools/test-support/rule-run.js';
import { columnMeans, meanOf, rowMeans } from './matrix.js';

function reference(
  gradients: readonly ArrayLike<number>[],
  shape: Shape,
  { beta1, beta2, epsilon, secondMomentOf }: Required<FactoredAdamWOptions>,
): number[][] {
  const [rows, columns] = matrixView(shape);
  const m = new Array<number>(rows * columns).fill(0);
  const v = new Array<number>(rows * columns).fill(0);
  const r = new Array<number>(rows).fill(0);
  const c = new Array<number>(columns).fill(0);
  const average = (old: number[], next: readonly number[]) =>
    next.forEach((x, i) => {
      old[i] = beta2 * old[i]! + (1 - beta2) * x;
    });
  return gradients.map((gradient, step) => {
    for (let i = 0; i < m.length; i++) m[i] = beta1 * m[i]! + (1 - beta1) * gradient[i]!;
    const squares = Array.from(secondMomentOf === 'gradient' ? gradient : m, x => x * x);
    average(v, squares);
    average(r, rowMeans(squares, shape));
    average(c, columnMeans(squares, shape));
    const mean = meanOf(r);
    return m.map((x, i) => {
      const product = mean === 0 ? 0 : (r[Math.floor(i / columns)]! * c[i % columns]!) / mean;
      const root = Math.sqrt((shape.length < 2 ? v[i]! : product) / (1 - beta2 ** (step + 1)));
      return x / (1 - beta1 ** (step + 1)) / (root + epsilon);
    });
  });
}

describe.each(BACKENDS)('factoredAdamW on %s', backend => {
  useBackend(backend);

  it.each<FactoredAdamWOptions>([{}, { secondMomentOf: 'momentum' }, { beta1: 0.8, beta2: 0.95, epsilon: 1e-3 }])(
    'follows the published recursion with %o',
    options => {
      for (const shape of SHAPES) {
        const gradients = gradientStream(19, shape, 12);
        const filled = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, secondMomentOf: 'gradient' as const, ...options };
        expectAllClose(directions(factoredAdamW(options), shape, gradients), reference(gradients, shape, filled), 4e-6);
      }
    },
  );
});

describe('factoredAdamW', () => {
  useBackend('cpu');

  it('is AdamW where squares have rank one: vectors, single rows and outer products', () => {
    for (const shape of [[6], [1, 6], [6, 1]]) {
      const gradients = gradientStream(20, shape, 12).map(g => g.map(x => x || 1e-3));
      expectAllClose(directions(factoredAdamW(), shape, gradients), directions(adamW(), shape, gradients), 4e-6);
    }
    const outer = gradientStream(21, [1], 20).map(([a]) => [1, -2, 3].flatMap(u => [0.1, 4].map(w => a! * u * w)));
    expectAllClose(directions(factoredAdamW(), [3, 2], outer), directions(adamW(), [3, 2], outer), 4e-6);
  });

  it('does not move rows and columns that never had a gradient', () => {
    const [d] = directions(factoredAdamW({ epsilon: 0 }), [2, 2], [[0, 0, 0, 5]]);
    expect(d!.slice(0, 3)).toEqual(Float32Array.of(0, 0, 0));
    expect(d![3]).toBeCloseTo(1, 5);
  });
});
