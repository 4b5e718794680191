import { type AdagradOptions, adagrad } from '@frugaljs/state-full';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { expectAllClose } from '../../../tools/test-support/closeness.js';
import { gradientStream, SHAPES } from '../../../tools/test-support/gradients.js';
import { directions } from '../../../tools/test-support/rule-run.js';

/** `torch.optim.Adagrad` with the learning rate 1, in float64. */
function reference(gradients: readonly ArrayLike<number>[], options: AdagradOptions): number[][] {
  const { epsilon = 1e-10, initialAccumulator = 0, learningRateDecay = 0 } = options;
  const sum = new Float64Array(gradients[0]!.length).fill(initialAccumulator);
  return gradients.map((gradient, k) =>
    Array.from(gradient, (g, i) => {
      sum[i]! += g * g;
      return g === 0 ? 0 : g / (Math.sqrt(sum[i]!) + epsilon) / (1 + k * learningRateDecay);
    }),
  );
}

describe.each(BACKENDS)('adagrad on %s', backend => {
  useBackend(backend);

  it.each<AdagradOptions>([{}, { epsilon: 0.1 }, { initialAccumulator: 0.5 }, { learningRateDecay: 0.1, epsilon: 0 }])(
    'follows PyTorch with %o',
    options => {
      for (const shape of SHAPES) {
        const gradients = gradientStream(25, shape, 12);
        expectAllClose(directions(adagrad(options), shape, gradients), reference(gradients, options), 4e-6);
      }
    },
  );

  it('starts the first two steps as PyTorch does', () => {
    // torch.optim.Adagrad(lr=1, lr_decay=0.5): gradients 3 and 4 take 1, then 4 / 5 / 1.5.
    const [first, second] = directions(adagrad({ learningRateDecay: 0.5 }), [1], [[3], [4]]);
    expect(first![0]).toBeCloseTo(1, 6);
    expect(second![0]).toBeCloseTo(4 / 5 / 1.5, 6);
  });
});
