import { InvalidOptionError } from '@frugaljs/core';
import { type SgdmOptions, sgdm } from '@frugaljs/state-full';
import { describe, expect, it } from 'vitest';
import { BACKENDS, useBackend } from '../../../tools/test-support/backends.js';
import { expectAllClose, expectClose } from '../../../tools/test-support/closeness.js';
import { gradientStream, SHAPES } from '../../../tools/test-support/gradients.js';
import { directions } from '../../../tools/test-support/rule-run.js';

interface Recursion {
  readonly momentum: number;
  readonly dampening: number;
  /** m after the first step, as a multiple of the gradient. */
  readonly first: number;
  readonly direction?: (g: number, m: number, t: number) => number;
}

function reference(gradients: readonly ArrayLike<number>[], recursion: Recursion): number[][] {
  const { momentum, dampening, first, direction = (_g, m) => m } = recursion;
  const m = new Float64Array(gradients[0]!.length);
  return gradients.map((gradient, step) =>
    Array.from(gradient, (g, i) => {
      m[i] = step === 0 ? first * g : momentum * m[i]! + (1 - dampening) * g;
      return direction(g, m[i]!, step + 1);
    }),
  );
}

const CONVENTIONS: readonly [name: string, options: SgdmOptions, recursion: Recursion][] = [
  ['PyTorch', {}, { momentum: 0.9, dampening: 0, first: 1 }],
  ['PyTorch with dampening', { momentum: 0.8, dampening: 0.3 }, { momentum: 0.8, dampening: 0.3, first: 1 }],
  [
    'PyTorch with Nesterov',
    { momentum: 0.8, nesterov: true },
    { momentum: 0.8, dampening: 0, first: 1, direction: (g, m) => g + 0.8 * m },
  ],
  [
    'dampening from the first step on',
    { dampening: 0.3, initial: 'zero' },
    { momentum: 0.9, dampening: 0.3, first: 0.7 },
  ],
  ['EMA', { convention: 'ema' }, { momentum: 0.9, dampening: 0.9, first: 1 - 0.9 }],
  [
    'EMA with bias correction',
    { convention: 'ema', momentum: 0.95, biasCorrection: true },
    { momentum: 0.95, dampening: 0.95, first: 1 - 0.95, direction: (_g, m, t) => m / (1 - 0.95 ** t) },
  ],
  [
    'EMA with Nesterov',
    { convention: 'ema', momentum: 0.95, nesterov: true },
    { momentum: 0.95, dampening: 0.95, first: 1 - 0.95, direction: (g, m) => (1 - 0.95) * g + 0.95 * m },
  ],
  [
    'EMA from the first gradient',
    { convention: 'ema', initial: 'firstGradient' },
    { momentum: 0.9, dampening: 0.9, first: 1 },
  ],
  ['a copy of the first gradient as buffer', { initial: 'firstGradient' }, { momentum: 0.9, dampening: 0, first: 1.9 }],
  [
    'the same with dampening',
    { momentum: 0.8, dampening: 0.5, initial: 'firstGradient' },
    { momentum: 0.8, dampening: 0.5, first: 1.3 },
  ],
];

describe.each(BACKENDS)('sgdm on %s', backend => {
  useBackend(backend);

  it.each(CONVENTIONS)('%s', (_name, options, recursion) => {
    for (const shape of SHAPES) {
      const gradients = gradientStream(9, shape, 12);
      expectAllClose(directions(sgdm(options), shape, gradients), reference(gradients, recursion));
    }
  });

  it('takes signs (Signum)', () => {
    const gradients = gradientStream(10, [3, 5], 20);
    const expected = reference(gradients, { momentum: 0.9, dampening: 0, first: 1 });
    directions(sgdm({ sign: true }), [3, 5], gradients).forEach((d, t) => {
      expect(Array.from(d, x => x + 0)).toEqual(expected[t]!.map(x => Math.sign(x) + 0));
    });
  });

  it('is SGD without state when the momentum is 0', () => {
    const rule = sgdm({ momentum: 0 });
    expect(rule.state([3])).toEqual({});
    const gradients = gradientStream(11, [3], 5);
    expect(directions(rule, [3], gradients)).toEqual(gradients);
    expect(directions(sgdm({ momentum: 0, sign: true }), [3], [[-2, 0, 5]])[0]).toEqual(Float32Array.of(-1, 0, 1));
  });
});

describe('sgdm', () => {
  useBackend('cpu');

  it('has conventions that differ by 1 - μ only', () => {
    const gradients = gradientStream(12, [4, 4], 30);
    const accumulated = directions(sgdm({ momentum: 0.9 }), [4, 4], gradients);
    const averaged = directions(sgdm({ momentum: 0.9, convention: 'ema' }), [4, 4], gradients);
    expectAllClose(
      averaged,
      accumulated.map(d => d.map(x => x * (1 - 0.9))),
    );
  });

  it.each([{ nesterov: false }, { nesterov: true }])('corrects the bias exactly for a constant gradient, %o', more => {
    const g = [0.3, -2, 1e-4];
    const rule = sgdm({ convention: 'ema', biasCorrection: true, ...more });
    for (const d of directions(
      rule,
      [3],
      Array.from({ length: 20 }, () => g),
    )) {
      expectClose(d, g);
    }
  });

  it('fills in the dampening of the EMA', () => {
    expect(sgdm({ convention: 'ema', momentum: 0.8 }).options).toMatchObject({ dampening: 0.8, initial: 'zero' });
  });

  it.each<[SgdmOptions, string]>([
    [{ convention: 'ema', dampening: 0 }, 'sgdm.dampening'],
    [{ nesterov: true, momentum: 0 }, 'sgdm.nesterov'],
    [{ nesterov: true, dampening: 0.1 }, 'sgdm.nesterov'],
    [{ biasCorrection: true }, 'sgdm.biasCorrection'],
    [{ convention: 'ema', initial: 'firstGradient', biasCorrection: true }, 'sgdm.biasCorrection'],
    [{ momentum: 1 }, 'sgdm.momentum'],
  ])('rejects %o', (options, parameter) => {
    expect(() => sgdm(options)).toThrow(expect.objectContaining({ name: 'InvalidOptionError', parameter }));
    expect(() => sgdm(options)).toThrow(InvalidOptionError);
  });
});
