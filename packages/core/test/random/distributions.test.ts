import { randomInteger, randomKey, randomNormals, randomPermutation, randomUniform } from '@frugaljs/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deviation, SAMPLES, tally } from '../support/statistics.js';

describe('randomUniform and randomInteger', () => {
  const key = randomKey(42, 'uniform');

  test('lie in [0, 1) and fill it evenly, in the high and in the low bits', () => {
    const high = new Array<number>(100).fill(0);
    const low = new Array<number>(64).fill(0);
    for (let i = 0; i < SAMPLES; i++) {
      const u = randomUniform(key, i);
      expect(u >= 0 && u < 1).toBe(true);
      high[Math.floor(u * 100)]!++;
      low[(u * 2 ** 53) % 64]!++;
    }
    expect(Math.abs(deviation(high))).toBeLessThan(4);
    expect(Math.abs(deviation(low))).toBeLessThan(4);
  });

  test('neighbors in a stream, and the same index of neighboring streams, are uncorrelated', () => {
    const correlation = (pair: (i: number) => [number, number]) => {
      let sum = 0;
      for (let i = 0; i < SAMPLES; i++) {
        const [x, y] = pair(i);
        sum += (x - 0.5) * (y - 0.5);
      }
      return (sum / SAMPLES) * 12 * Math.sqrt(SAMPLES);
    };
    expect(Math.abs(correlation(i => [randomUniform(key, i), randomUniform(key, i + 1)]))).toBeLessThan(4);
    expect(
      Math.abs(correlation(i => [randomUniform(randomKey(0, i), 0), randomUniform(randomKey(0, i + 1), 0)])),
    ).toBeLessThan(4);
    expect(
      Math.abs(correlation(i => [randomUniform(randomKey(i), 5), randomUniform(randomKey(i + 1), 5)])),
    ).toBeLessThan(4);
    const a = randomKey(9, 'a');
    const b = randomKey(9, 'b');
    expect(Math.abs(correlation(i => [randomUniform(a, i), randomUniform(b, i)]))).toBeLessThan(4);
  });

  test('an index beyond 32 bits is a number of its own', () => {
    expect(randomUniform(key, 2 ** 32 + 3)).not.toBe(randomUniform(key, 3));
    expect(randomUniform(key, 2 ** 32 + 3)).toBe(randomUniform(key, 4294967299));
  });

  test.each([1, 2, 7, 10])('integers below %i are equally likely', count => {
    const categories = Array.from({ length: count }, (_, i) => String(i));
    const counts = tally(categories, i => String(randomInteger(key, i, count)));
    if (count > 1) expect(Math.abs(deviation(counts))).toBeLessThan(4);
    expect(counts.reduce((sum, x) => sum + x, 0)).toBe(SAMPLES);
  });
});

describe('randomNormals', () => {
  test('have the moments and the tails of the standard normal distribution', () => {
    const count = 200_000;
    const x = randomNormals(randomKey(3, 'normal'), count);
    const moment = (power: number) => x.reduce((sum, value) => sum + value ** power, 0) / count;
    // Five standard errors: Var(xᵖ) = E[x²ᵖ] - E[xᵖ]².
    const within = (power: number, expected: number, variance: number) =>
      expect(Math.abs(moment(power) - expected)).toBeLessThan(5 * Math.sqrt(variance / count));
    within(1, 0, 1);
    within(2, 1, 2);
    within(3, 0, 15);
    within(4, 3, 96);
    const beyondTwo = x.filter(value => Math.abs(value) > 2).length / count;
    expect(Math.abs(beyondTwo - 0.0455003)).toBeLessThan(5 * Math.sqrt(0.0455 / count));
    const products = x.reduce((sum, value, i) => (i % 2 === 0 ? sum + value * x[i + 1]! : sum), 0);
    expect(Math.abs(products)).toBeLessThan(5 * Math.sqrt(count / 2));
  });

  test('a shorter draw is the beginning of a longer one', () => {
    const key = randomKey(5);
    fc.assert(
      fc.property(fc.nat({ max: 50 }), fc.nat({ max: 50 }), (a, b) => {
        const [short, long] = a < b ? [a, b] : [b, a];
        expect(randomNormals(key, long).subarray(0, short)).toEqual(randomNormals(key, short));
      }),
    );
  });

  test('stay what they were, to the last bit', () => {
    expect(Array.from(randomNormals(randomKey(0, 'normals'), 5))).toMatchInlineSnapshot(`
      [
        0.8134846687316895,
        -0.19465972483158112,
        2.1755499839782715,
        0.5116236805915833,
        -1.1926867961883545,
      ]
    `);
  });
});

describe('randomPermutation', () => {
  test('contains every number once', () => {
    fc.assert(
      fc.property(fc.integer(), fc.nat({ max: 60 }), (seed, count) => {
        const order = randomPermutation(randomKey(seed), count);
        expect(Array.from(order).sort((a, b) => a - b)).toEqual(Array.from({ length: count }, (_, i) => i));
      }),
    );
  });

  test('all 24 orders of four are equally likely', () => {
    const orders = [0, 1, 2, 3].flatMap(a =>
      [0, 1, 2, 3].flatMap(b =>
        [0, 1, 2, 3].flatMap(c => (new Set([a, b, c]).size === 3 ? [`${a}${b}${c}${6 - a - b - c}`] : [])),
      ),
    );
    expect(orders).toHaveLength(24);
    const counts = tally(orders, i => randomPermutation(randomKey(1, i), 4).join(''));
    expect(Math.abs(deviation(counts))).toBeLessThan(4);
  });
});
