import { normalizedSgd } from '@frugaljs/state-free';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { expectClose } from '../../../tools/test-support/closeness.js';
import { gradientStream, SHAPES } from '../../../tools/test-support/gradients.js';
import { directionOf } from '../../../tools/test-support/rule-run.js';
import { blocksOf, fromBlocks, normOf } from './blocks.js';

const BLOCKS = (['tensor', 'row', 'column'] as const).flatMap(per =>
  (['l2', 'rms'] as const).map(norm => ({ per, norm })),
);

describe.each(BACKENDS)('normalizedSgd on %s', backend => {
  useBackend(backend);

  it.each(BLOCKS)('divides by the norm, %o', options => {
    for (const shape of SHAPES) {
      for (const epsilon of [1e-8, 0.5]) {
        const gradient = gradientStream(53, shape, 1)[0]!;
        const blocks = blocksOf(gradient, shape, options.per).map(block => {
          const norm = normOf(block) / (options.norm === 'rms' ? Math.sqrt(block.length) : 1);
          return block.map(g => g / (norm + epsilon));
        });
        const d = directionOf(normalizedSgd({ ...options, epsilon }), shape, gradient);
        expectClose(d, fromBlocks(blocks, shape, options.per));
      }
    }
  });

  it.each(BLOCKS)('leaves blocks of zeros where they are without ε, and makes the others 1, %o', options => {
    const d = directionOf(normalizedSgd({ ...options, epsilon: 0 }), [3, 3], [5, 0, -1e-6, 0, 0, 0, 2, 0, 1e6]);
    for (const block of blocksOf(d, [3, 3], options.per)) {
      const norm = normOf(block) / (options.norm === 'rms' ? Math.sqrt(block.length) : 1);
      if (block.some(x => x !== 0)) expect(norm).toBeCloseTo(1, 5);
    }
    const [, second] = blocksOf(d, [3, 3], 'row');
    expect(second).toEqual([0, 0, 0]);
    expect(d.some(x => x !== 0)).toBe(true);
  });
});

describe('normalizedSgd', () => {
  useBackend('cpu');

  it('never has a norm above 1', () => {
    const entry = fc.double({ min: -1e6, max: 1e6, noNaN: true });
    fc.assert(
      fc.property(fc.array(entry, { minLength: 6, maxLength: 6 }), fc.constantFrom(...BLOCKS), (gradient, options) => {
        const d = directionOf(normalizedSgd(options), [2, 3], gradient);
        for (const block of blocksOf(d, [2, 3], options.per)) {
          const norm = normOf(block) / (options.norm === 'rms' ? Math.sqrt(block.length) : 1);
          expect(norm).toBeLessThanOrEqual(1 + 1e-6);
        }
      }),
      { seed: 12, numRuns: 60 },
    );
  });
});
