import { matrixView } from '@frugaljs/core';
import { oneSidedAdafactor } from '@frugaljs/state-full';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { expectAllClose } from '../../../tools/test-support/closeness.js';
import { gradientStream, SHAPES } from '../../../tools/test-support/gradients.js';
import { directions } from '../../../tools/test-support/rule-run.js';
import { rmsOf } from './matrix.js';

describe.each(BACKENDS)('oneSidedAdafactor on %s', backend => {
  useBackend(backend);

  // The published form keeps the sum u of the squares and divides by √(u / n).
  it.each(['row', 'column'] as const)('divides by the running root mean square of each %s', per => {
    for (const shape of SHAPES) {
      const [rows, columns] = matrixView(shape);
      const count = per === 'row' ? columns : rows;
      const gradients = gradientStream(22, shape, 12);
      const u = new Float64Array(per === 'row' ? rows : columns);
      const blockOf = (i: number) => (per === 'row' ? Math.floor(i / columns) : i % columns);
      const expected = gradients.map((gradient, step) => {
        const sums = new Float64Array(u.length);
        gradient.forEach((g, i) => {
          sums[blockOf(i)]! += g * g;
        });
        sums.forEach((sum, b) => {
          u[b] = 0.99 * u[b]! + (1 - 0.99) * sum;
        });
        return Array.from(
          gradient,
          (g, i) => g / ((Math.sqrt(u[blockOf(i)]!) * Math.sqrt(1 / count)) / Math.sqrt(1 - 0.99 ** (step + 1)) + 1e-3),
        );
      });
      const rule = oneSidedAdafactor({ beta2: 0.99, epsilon: 1e-3, per });
      expectAllClose(directions(rule, shape, gradients), expected);
    }
  });

  it('starts with rows of root mean square 1', () => {
    const [d] = directions(oneSidedAdafactor({ epsilon: 0 }), [3, 5], gradientStream(23, [3, 5], 1));
    for (let i = 0; i < 3; i++) expect(rmsOf(d!.slice(5 * i, 5 * i + 5))).toBeCloseTo(1, 5);
  });
});
