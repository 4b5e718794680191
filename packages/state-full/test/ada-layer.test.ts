import { matrixView, type Shape } from '@frugaljs/core';
import { type AdaLayerOptions, adaLayer, adamW } from '@frugaljs/state-full';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { expectAllClose } from '../../../tools/test-support/closeness.js';
import { gradientStream, SHAPES } from '../../../tools/test-support/gradients.js';
import { directions, RuleRun } from '../../../tools/test-support/rule-run.js';
import { columnMeans, meanOf, rowMeans } from './matrix.js';

function reference(
  gradients: readonly ArrayLike<number>[],
  shape: Shape,
  { beta1, beta2, epsilon, per, normalization }: Required<AdaLayerOptions>,
): number[][] {
  const [rows, columns] = matrixView(shape);
  const count = { tensor: rows * columns, row: columns, column: rows }[per];
  const blocks = { tensor: 1, row: rows, column: columns }[per];
  const blockOf = (i: number) => ({ tensor: 0, row: Math.floor(i / columns), column: i % columns })[per];
  const m = new Float64Array(rows * columns);
  const v = new Float64Array(blocks);
  return gradients.map((gradient, step) => {
    const squares = Array.from(gradient, g => g * g);
    const means =
      per === 'tensor' ? [meanOf(squares)] : per === 'row' ? rowMeans(squares, shape) : columnMeans(squares, shape);
    means.forEach((mean, b) => {
      const size = normalization === 'mean' ? mean : (mean * count) / Math.sqrt(count);
      v[b] = beta2 * v[b]! + (1 - beta2) * size;
    });
    return Array.from(gradient, (g, i) => {
      m[i] = beta1 * m[i]! + (1 - beta1) * g;
      const root = Math.sqrt(v[blockOf(i)]! / (1 - beta2 ** (step + 1)));
      return m[i]! / (1 - beta1 ** (step + 1)) / (root + epsilon);
    });
  });
}

describe.each(BACKENDS)('adaLayer on %s', backend => {
  useBackend(backend);

  const blocks = (['tensor', 'row', 'column'] as const).flatMap(per =>
    (['mean', 'sqrtNumel'] as const).map(normalization => ({ per, normalization })),
  );
  it.each(blocks)('follows Algorithm 1 with one second moment for %o', block => {
    for (const shape of SHAPES) {
      const gradients = gradientStream(13, shape, 12);
      for (const rest of [{}, { beta1: 0.8, beta2: 0.99, epsilon: 1e-2 }]) {
        const options = { ...block, ...rest };
        const expected = reference(gradients, shape, { beta1: 0.9, beta2: 0.95, epsilon: 1e-15, ...options });
        expectAllClose(directions(adaLayer(options), shape, gradients), expected);
      }
    }
  });

  it('is Adam on blocks of one entry', () => {
    const options = { beta1: 0.9, beta2: 0.95, epsilon: 1e-8 };
    for (const [shape, per] of [
      [[1, 1], 'tensor'],
      [[6, 1], 'row'],
      [[1, 6], 'column'],
      [[6], 'column'],
    ] as const) {
      const gradients = gradientStream(14, shape, 12);
      expect(directions(adaLayer({ ...options, per }), shape, gradients)).toEqual(
        directions(adamW(options), shape, gradients),
      );
    }
  });
});

describe('adaLayer', () => {
  useBackend('cpu');

  it('steps N^¼ times less when it divides by √N', () => {
    const gradient = gradientStream(15, [512, 512], 1);
    const [mean] = directions(adaLayer(), [512, 512], gradient);
    const [root] = directions(adaLayer({ normalization: 'sqrtNumel' }), [512, 512], gradient);
    const i = gradient[0]!.findIndex(g => g !== 0);
    expect(mean![i]! / root![i]!).toBeCloseTo(22.627, 2);
  });

  it('keeps one number per tensor, row or column', () => {
    for (const [per, shape] of [
      ['tensor', []],
      ['row', [3, 1]],
      ['column', [1, 5]],
    ] as const) {
      const run = new RuleRun(adaLayer({ per }), [3, 5]);
      run.step(gradientStream(16, [3, 5], 1)[0]!);
      expect(run.slotShapes()).toEqual({ m: [3, 5], v: shape });
      run.dispose();
    }
  });
});
