import { type RmspropOptions, rmsprop } from '@frugaljs/state-full';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { expectAllClose } from '../../../tools/test-support/closeness.js';
import { gradientStream, SHAPES } from '../../../tools/test-support/gradients.js';
import { directions, RuleRun } from '../../../tools/test-support/rule-run.js';

function reference(gradients: readonly ArrayLike<number>[], options: RmspropOptions): number[][] {
  const { alpha, epsilon, momentum, centered } = {
    alpha: 0.99,
    epsilon: 1e-8,
    momentum: 0,
    centered: false,
    ...options,
  };
  const size = gradients[0]!.length;
  const [v, a, m] = [new Float64Array(size), new Float64Array(size), new Float64Array(size)];
  return gradients.map(gradient =>
    Array.from(gradient, (g, i) => {
      v[i] = alpha * v[i]! + (1 - alpha) * g * g;
      a[i] = alpha * a[i]! + (1 - alpha) * g;
      const root = Math.sqrt(centered ? v[i]! - a[i]! ** 2 : v[i]!);
      m[i] = momentum * m[i]! + g / (root + epsilon);
      return m[i]!;
    }),
  );
}

describe.each(BACKENDS)('rmsprop on %s', backend => {
  useBackend(backend);

  it.each<RmspropOptions>([
    {},
    { alpha: 0.9, epsilon: 1e-2 },
    { momentum: 0.9 },
    { centered: true },
    { centered: true, momentum: 0.5, epsilon: 1e-3 },
  ])('follows PyTorch with %o', options => {
    for (const shape of SHAPES) {
      const gradients = gradientStream(24, shape, 12);
      expectAllClose(directions(rmsprop(options), shape, gradients), reference(gradients, options), 4e-6);
    }
  });

  it('survives a variance that rounding makes negative', () => {
    const run = new RuleRun(rmsprop({ centered: true, alpha: 0.5 }), [3]);
    for (let t = 0; t < 40; t++) expect(run.step([0.1, 0.7, 3.3]).every(Number.isFinite)).toBe(true);
    run.dispose();
  });
});

describe('rmsprop', () => {
  useBackend('cpu');

  it('keeps only the slots it needs', () => {
    expect(Object.keys(rmsprop().state([2]))).toEqual(['v']);
    expect(Object.keys(rmsprop({ centered: true, momentum: 0.9 }).state([2]))).toEqual(['v', 'a', 'm']);
  });
});
