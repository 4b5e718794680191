import { InvalidOptionError, interpret, slotBytes, traceRule } from '@frugaljs/core';
import '@tensorflow/tfjs-backend-cpu';
import { memory, tensor, tidy } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { templateStateFreeRule } from '../src/template-state-free-rule.js';

const shape = [2, 3];
const gradient = fc.array(fc.float({ min: -10, max: 10, noNaN: true }), { minLength: 6, maxLength: 6 });

/** The direction as the interpreter computes it. */
function directionOf(values: number[], options?: Parameters<typeof templateStateFreeRule>[0]): number[] {
  const rule = templateStateFreeRule(options);
  return tidy(() => {
    const scalars = rule.scalars?.(1, shape) ?? {};
    const { direction } = interpret(traceRule(rule, shape), { g: tensor(values, shape) }, scalars, shape);
    return Array.from(direction!.dataSync());
  });
}

describe('templateStateFreeRule', () => {
  it('follows its formula', () => {
    fc.assert(
      fc.property(gradient, fc.constantFrom(0.5, 1, 4), (values, limit) => {
        const expected = values.map(value => Math.min(Math.max(value, -limit), limit));
        for (const [i, value] of directionOf(values, { limit }).entries()) expect(value).toBeCloseTo(expected[i]!, 5);
      }),
      { seed: 1, numRuns: 50 },
    );
  });

  it('keeps no state', () => {
    expect(slotBytes(templateStateFreeRule().state(shape), shape)).toBe(0);
  });

  it('is described by JSON from which it can be made again', () => {
    const { kind, options } = templateStateFreeRule({ limit: 2 });
    expect(kind).toBe('templateStateFreeRule');
    expect(templateStateFreeRule(JSON.parse(JSON.stringify(options))).options).toEqual(options);
  });

  it.each([{ limit: 0 }, { limit: -1 }, { limit: Number.NaN }, { unknown: 1 }])('refuses %j', options => {
    expect(() => templateStateFreeRule(options)).toThrow(InvalidOptionError);
  });

  it('leaks no tensor', () => {
    directionOf([1, 2, 3, 4, 5, 6]);
    const before = memory().numTensors;
    directionOf([1, 2, 3, 4, 5, 6]);
    expect(memory().numTensors).toBe(before);
  });
});
