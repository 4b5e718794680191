import { roundHalfToEven } from '@frugaljs/core';
import fc from 'fast-check';
import { expect, test } from 'vitest';

test.each([
  [0, 0],
  [0.49999999999999994, 0],
  [0.5, 0],
  [0.5000000000000001, 1],
  [1, 1],
  [1.4999999999999998, 1],
  [1.5, 2],
  [2.5, 2],
  [3.5, 4],
  [4.5, 4],
  [100.5, 100],
  [-0.5, 0],
  [-1.5, -2],
  [-2.5, -2],
  [-2.6, -3],
  [4503599627370495.5, 4503599627370496],
  [2 ** 53, 2 ** 53],
  [100 * 0.29, 29],
  [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY],
  [Number.NaN, Number.NaN],
])('roundHalfToEven(%d) is %d', (x, expected) => {
  expect(roundHalfToEven(x) + 0).toBe(expected);
});

test('is the nearest integer, and the even one of two', () => {
  fc.assert(
    fc.property(fc.integer({ min: -2_000_000, max: 2_000_000 }), quarters => {
      const x = quarters / 4;
      const rounded = roundHalfToEven(x);
      expect(Number.isInteger(rounded)).toBe(true);
      expect(Math.abs(rounded - x)).toBeLessThanOrEqual(0.5);
      if (Math.abs(rounded - x) === 0.5) expect(rounded % 2 === 0).toBe(true);
    }),
  );
});
