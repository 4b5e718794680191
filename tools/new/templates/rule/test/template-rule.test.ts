import { InvalidOptionError, interpret, slotBytes, traceRule } from '@frugaljs/core';
import '@tensorflow/tfjs-backend-cpu';
import { memory, type Tensor, tensor, tidy } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { templateRule } from '../src/template-rule.js';

const shape = [2, 3];
const gradients = fc.array(fc.array(fc.float({ min: -10, max: 10, noNaN: true }), { minLength: 6, maxLength: 6 }), {
  minLength: 1,
  maxLength: 5,
});

/** Directions over several steps, as the interpreter computes them. */
function directionsOf(steps: number[][], options?: Parameters<typeof templateRule>[0]): number[][] {
  const rule = templateRule(options);
  const graph = traceRule(rule, shape);
  return tidy(() => {
    let m: Tensor = tensor(new Array<number>(6).fill(0), shape);
    return steps.map((values, step) => {
      const next = interpret(graph, { g: tensor(values, shape), m }, rule.scalars?.(step + 1, shape) ?? {}, shape);
      m = next['m']!;
      return Array.from(next['direction']!.dataSync());
    });
  });
}

/** The formula of the documentation, in float64 and one entry at a time. */
function reference(steps: number[][], momentum: number): number[][] {
  const m = new Array<number>(6).fill(0);
  return steps.map(g => {
    for (const [i, value] of g.entries()) m[i] = momentum * m[i]! + value;
    return [...m];
  });
}

describe('templateRule', () => {
  it('follows its formula', () => {
    fc.assert(
      fc.property(gradients, fc.constantFrom(0, 0.5, 0.9), (steps, momentum) => {
        const expected = reference(steps, momentum);
        for (const [step, direction] of directionsOf(steps, { momentum }).entries()) {
          for (const [i, value] of direction.entries()) expect(value).toBeCloseTo(expected[step]![i]!, 4);
        }
      }),
      { seed: 1, numRuns: 50 },
    );
  });

  it('declares the state it keeps', () => {
    expect(slotBytes(templateRule().state(shape), shape)).toBe(4 * 6);
  });

  it('is described by JSON from which it can be made again', () => {
    const { kind, options } = templateRule({ momentum: 0.5 });
    expect(kind).toBe('templateRule');
    expect(templateRule(JSON.parse(JSON.stringify(options))).options).toEqual(options);
  });

  it.each([{ momentum: 1 }, { momentum: -0.1 }, { momentum: Number.NaN }, { unknown: 1 }])('refuses %j', options => {
    expect(() => templateRule(options)).toThrow(InvalidOptionError);
  });

  it('leaks no tensor', () => {
    directionsOf([[1, 2, 3, 4, 5, 6]]);
    const before = memory().numTensors;
    directionsOf([[1, 2, 3, 4, 5, 6]]);
    expect(memory().numTensors).toBe(before);
  });
});
