import { cosTurns, naturalLog, sinTurns } from '@frugaljs/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

describe('naturalLog', () => {
  test('agrees with Math.log to 1e-15, relative or absolute, on normal positive doubles', () => {
    const normal = fc.double({ min: 2 ** -1022, minExcluded: false, max: Number.MAX_VALUE, noNaN: true });
    const nearOne = fc.double({ min: 0.5, max: 2, noNaN: true });
    fc.assert(
      fc.property(fc.oneof(normal, nearOne), x => {
        const expected = Math.log(x);
        expect(Math.abs(naturalLog(x) - expected)).toBeLessThanOrEqual(1e-15 * Math.max(Math.abs(expected), 2 ** -20));
      }),
      { numRuns: 20_000 },
    );
  });

  test('is exact at 1 and at powers of two to the last bit of the product', () => {
    expect(naturalLog(1)).toBe(0);
    for (let exponent = -1022; exponent <= 1023; exponent++) {
      const expected = exponent * Math.LN2;
      expect(Math.abs(naturalLog(2 ** exponent) - expected)).toBeLessThanOrEqual(3e-16 * Math.abs(expected));
    }
  });

  test('goes on outside its domain as Math.log does', () => {
    for (const x of [0, -0, -1, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, Number.NaN]) {
      expect(naturalLog(x)).toBe(Math.log(x));
    }
  });
});

describe('cosTurns and sinTurns', () => {
  test('agree with Math.cos and Math.sin of 2π x to 1e-15', () => {
    fc.assert(
      fc.property(fc.double({ min: -0.5, max: 0.5, noNaN: true }), turns => {
        // The argument 2π x has a rounding error of its own, of at most 4e-16 here.
        expect(Math.abs(cosTurns(turns) - Math.cos(2 * Math.PI * turns))).toBeLessThanOrEqual(1e-15);
        expect(Math.abs(sinTurns(turns) - Math.sin(2 * Math.PI * turns))).toBeLessThanOrEqual(1e-15);
      }),
      { numRuns: 20_000 },
    );
  });

  test('are exact on the axes', () => {
    expect([0, 0.25, 0.5, 0.75, 1].map(cosTurns).map(x => x + 0)).toEqual([1, 0, -1, 0, 1]);
    expect([0, 0.25, 0.5, 0.75, 1].map(sinTurns).map(x => x + 0)).toEqual([0, 1, 0, -1, 0]);
  });

  test('have period 1 and lie on the unit circle', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 2 ** 30 }), fc.integer({ min: -1000, max: 1000 }), (x, periods) => {
        const turns = x / 2 ** 30;
        expect(cosTurns(turns + periods)).toBe(cosTurns(turns));
        expect(Math.abs(cosTurns(turns) ** 2 + sinTurns(turns) ** 2 - 1)).toBeLessThanOrEqual(1e-15);
      }),
    );
  });
});
