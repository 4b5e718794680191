import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { permutedIndex, randomKey, randomNormals, randomUniform, threefry2x32 } from '../src/random.js';

describe('threefry2x32', () => {
  // Known-answer vectors of the Random123 distribution (kat_vectors, threefry2x32, 20 rounds).
  it.each([
    [
      [0, 0],
      [0, 0],
      [0x6b200159, 0x99ba4efe],
    ],
    [
      [-1, -1],
      [-1, -1],
      [0x1cb996fc, 0xbb002be7],
    ],
    [
      [0x13198a2e, 0x03707344],
      [0x243f6a88, 0x85a308d3],
      [0xc4923a9c, 0x483df7a0],
    ],
  ])('key %j, counter %j gives %j', (key, counter, expected) => {
    const out = new Uint32Array(2);
    threefry2x32([key[0]!, key[1]!], counter[0]!, counter[1]!, out);
    expect([...out]).toEqual(expected);
  });
});

describe('streams', () => {
  it('differ by seed and by label', () => {
    const draws = [
      randomKey(0, 'a'),
      randomKey(1, 'a'),
      randomKey(0, 'b'),
      randomKey(2 ** 32, 'a'),
      randomKey(-1, 'a'),
    ];
    expect(new Set(draws.map(key => randomUniform(key, 0))).size).toBe(draws.length);
  });

  it('are uniform on [0, 1): mean 1/2, variance 1/12, no correlation of neighbors', () => {
    const n = 20000;
    const key = randomKey(5, 'uniform');
    const xs = Array.from({ length: n }, (_, i) => randomUniform(key, i));
    expect(Math.min(...xs)).toBeGreaterThanOrEqual(0);
    expect(Math.max(...xs)).toBeLessThan(1);
    const mean = xs.reduce((a, b) => a + b) / n;
    const variance = xs.reduce((a, x) => a + (x - mean) ** 2, 0) / n;
    const lag = xs.slice(1).reduce((a, x, i) => a + (x - mean) * (xs[i]! - mean), 0) / n;
    // Five standard errors each.
    expect(Math.abs(mean - 0.5)).toBeLessThan((5 * Math.sqrt(1 / 12)) / Math.sqrt(n));
    expect(Math.abs(variance - 1 / 12)).toBeLessThan((5 * Math.sqrt(1 / 180)) / Math.sqrt(n));
    expect(Math.abs(lag)).toBeLessThan(5 / 12 / Math.sqrt(n));
  });

  it('give normal numbers of the standard deviation asked for', () => {
    const n = 40001;
    const xs = randomNormals(randomKey(5, 'normal'), n, 0.02);
    expect(xs.length).toBe(n);
    const moment = (power: number): number => xs.reduce((a, x) => a + (x / 0.02) ** power, 0) / n;
    expect(Math.abs(moment(1))).toBeLessThan(5 / Math.sqrt(n));
    expect(Math.abs(moment(2) - 1)).toBeLessThan((5 * Math.sqrt(2)) / Math.sqrt(n));
    expect(Math.abs(moment(4) - 3)).toBeLessThan((5 * Math.sqrt(96)) / Math.sqrt(n));
  });
});

describe('permutedIndex', () => {
  it('is a permutation for every length and seed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 300 }), fc.integer(), (count, seed) => {
        const key = randomKey(seed, 'order');
        const image = new Set(Array.from({ length: count }, (_, i) => permutedIndex(key, i, count)));
        expect(image.size).toBe(count);
        for (const index of image) expect(index >= 0 && index < count).toBe(true);
      }),
      { numRuns: 60, seed: 1 },
    );
  });

  it('is close to random: few fixed points over many keys', () => {
    const count = 97;
    let fixed = 0;
    for (let seed = 0; seed < 200; seed++) {
      const key = randomKey(seed, 'order');
      for (let i = 0; i < count; i++) if (permutedIndex(key, i, count) === i) fixed++;
    }
    // A random permutation has one on average, with variance 1.
    expect(Math.abs(fixed / 200 - 1)).toBeLessThan(5 / Math.sqrt(200));
  });
});
