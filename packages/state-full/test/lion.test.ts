import { lion, sgdm } from '@frugaljs/state-full';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { expectClose } from '../../../tools/test-support/closeness.js';
import { gradientStream, SHAPES } from '../../../tools/test-support/gradients.js';
import { directions, RuleRun } from '../../../tools/test-support/rule-run.js';

describe.each(BACKENDS)('lion on %s', backend => {
  useBackend(backend);

  it.each([{}, { beta1: 0.95, beta2: 0.98 }])(
    'takes the sign of the interpolation, then averages, with %o',
    options => {
      const { beta1, beta2 } = { beta1: 0.9, beta2: 0.99, ...options };
      for (const shape of SHAPES) {
        const run = new RuleRun(lion(options), shape);
        const gradients = gradientStream(5, shape, 12);
        const m = new Float64Array(gradients[0]!.length);
        for (const gradient of gradients) {
          const expected = Array.from(gradient, (g, i) => Math.sign(beta1 * m[i]! + (1 - beta1) * g));
          expect(Array.from(run.step(gradient), d => d + 0)).toEqual(expected.map(d => d + 0));
          gradient.forEach((g, i) => {
            m[i] = beta2 * m[i]! + (1 - beta2) * g;
          });
        }
        // Entries whose positive and negative gradients cancel keep the rounding error of their summands.
        const scales = m.map((_, i) => Math.max(...gradients.map(gradient => Math.abs(gradient[i]!))));
        expectClose(run.slot('m'), m, 1e-6, scales);
        run.dispose();
      }
    },
  );

  it('has directions -1, 0 and 1 only', () => {
    for (const d of directions(lion(), [50], gradientStream(6, [50], 10))) {
      for (const entry of d) expect([-1, 0, 1]).toContain(entry + 0);
    }
    expect(directions(lion(), [2], [[0, 0]])[0]).toEqual(Float32Array.of(0, 0));
  });
});

describe('lion', () => {
  useBackend('cpu');

  it('is signSGD with β₁ = 0', () => {
    const gradients = gradientStream(7, [4, 3], 12);
    directions(lion({ beta1: 0 }), [4, 3], gradients).forEach((d, t) => {
      expect(Array.from(d, x => x + 0)).toEqual(Array.from(gradients[t]!, g => Math.sign(g) + 0));
    });
  });

  it('is Signum with β₁ = β₂', () => {
    const gradients = gradientStream(8, [4, 3], 12);
    const signum = sgdm({ momentum: 0.95, convention: 'ema', sign: true });
    expect(directions(lion({ beta1: 0.95, beta2: 0.95 }), [4, 3], gradients)).toEqual(
      directions(signum, [4, 3], gradients),
    );
  });
});
