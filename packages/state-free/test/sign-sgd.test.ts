import { sizeOf } from '@frugaljs/core';
import { sgd, signSgd } from '@frugaljs/state-free';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { gradientStream, SHAPES } from '../../../tools/test-support/gradients.js';
import { directionOf } from '../../../tools/test-support/rule-run.js';

describe.each(BACKENDS)('on %s', backend => {
  useBackend(backend);

  it('signSgd takes the sign of every entry', () => {
    for (const shape of SHAPES) {
      for (const gradient of gradientStream(50, shape, 5)) {
        const d = directionOf(signSgd(), shape, gradient);
        expect(Array.from(d, x => x + 0)).toEqual(Array.from(gradient, g => Math.sign(g) + 0));
      }
    }
  });

  it('signSgd keeps 0, -0, NaN and the smallest numbers apart', () => {
    const d = directionOf(signSgd(), [6], [0, -0, Number.NaN, 1e-38, -1e-38, Number.NEGATIVE_INFINITY]);
    expect(Array.from(d, x => x + 0)).toEqual([0, 0, Number.NaN, 1, -1, -1]);
  });

  it('signSgd ignores the size of the gradient', () => {
    const gradient = gradientStream(51, [20], 1)[0]!;
    expect(
      directionOf(
        signSgd(),
        [20],
        gradient.map(g => 1e-9 * g),
      ),
    ).toEqual(directionOf(signSgd(), [20], gradient));
  });

  it('sgd is the gradient', () => {
    for (const shape of SHAPES) {
      const gradient = gradientStream(52, shape, 1)[0]!;
      expect(directionOf(sgd(), shape, gradient)).toEqual(gradient);
      expect(gradient.length).toBe(sizeOf(shape));
    }
  });
});
