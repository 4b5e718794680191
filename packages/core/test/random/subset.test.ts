import { randomKey, randomSubset, randomSubsetByMask } from '@frugaljs/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { deviation, tally } from '../support/statistics.js';

const isAscending = (values: Int32Array) => values.every((value, i) => i === 0 || value > values[i - 1]!);
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i);
const METHODS = { randomSubset, randomSubsetByMask };

/** All subsets of three of the numbers below `count`, as text. */
function triples(count: number): string[] {
  return upTo(count).flatMap(c => upTo(c).flatMap(b => upTo(b).map(a => `${a},${b},${c}`)));
}

describe.each(Object.entries(METHODS))('%s', (name, draw) => {
  const request = (largest: number) =>
    fc.tuple(fc.nat({ max: largest }), fc.integer()).chain(([count, seed]) =>
      fc.record({
        seed: fc.constant(seed),
        count: fc.constant(count),
        size: fc.integer({ min: 0, max: count }),
        excluded: fc.subarray(upTo(count)).map(list => Int32Array.from(list)),
      }),
    );

  test('is ascending, of the wanted size, within range', () => {
    fc.assert(
      fc.property(request(3000), ({ seed, count, size }) => {
        const subset = draw(randomKey(seed), count, size);
        expect(subset).toHaveLength(size);
        expect(isAscending(subset)).toBe(true);
        expect(subset.every(value => value >= 0 && value < count)).toBe(true);
        expect(draw(randomKey(seed), count, size)).toEqual(subset);
      }),
      { seed: 11, numRuns: 300 },
    );
  });

  test('every size of every small count', () => {
    for (const count of [0, 1, 2, 3, 31, 32, 33, 63, 64, 65, 100]) {
      for (let size = 0; size <= count; size++) {
        const subset = draw(randomKey(5, count), count, size);
        expect(subset).toHaveLength(size);
        expect(new Set(subset).size).toBe(size);
        expect(isAscending(subset)).toBe(true);
        if (size > 0) expect(subset[0]! >= 0 && subset[size - 1]! < count).toBe(true);
        if (size === count) expect(Array.from(subset)).toEqual(upTo(count));
      }
    }
  });

  test('avoids the excluded numbers, and takes the lowest of them only when the others do not suffice', () => {
    fc.assert(
      fc.property(request(40), ({ seed, count, size, excluded }) => {
        const before = excluded.slice();
        const subset = draw(randomKey(seed), count, size, excluded);
        expect(subset).toHaveLength(size);
        expect(isAscending(subset)).toBe(true);
        expect(subset.every(value => value >= 0 && value < count)).toBe(true);
        const taken = Array.from(subset).filter(value => excluded.includes(value));
        const missing = Math.max(0, size - (count - excluded.length));
        expect(taken).toEqual(Array.from(excluded.subarray(0, missing)));
        expect(excluded).toEqual(before);
      }),
      { seed: 12, numRuns: 1000 },
    );
  });

  test('excluding nothing draws the same subset as no exclusion', () => {
    const key = randomKey(8);
    expect(draw(key, 30, 7, new Int32Array(0))).toEqual(draw(key, 30, 7));
  });

  // Each of these is below 4 by chance with a probability above 0.9999; keys are fixed.
  test('all subsets are equally likely', () => {
    const pairs = upTo(5).flatMap(a => upTo(5).flatMap(b => (a < b ? [`${a},${b}`] : [])));
    expect(pairs).toHaveLength(10);
    const counts = tally(pairs, i => draw(randomKey(2, i), 5, 2).join());
    expect(Math.abs(deviation(counts))).toBeLessThan(4);
  });

  test('all subsets that cross a word are equally likely: a few of 34, and all but a few', () => {
    const few = tally(triples(34), i => draw(randomKey(20, i), 34, 3).join());
    expect(Math.abs(deviation(few))).toBeLessThan(4);
    const most = tally(triples(34), i => {
      const inside = new Set(draw(randomKey(21, i), 34, 31));
      return upTo(34)
        .filter(value => !inside.has(value))
        .join();
    });
    expect(Math.abs(deviation(most))).toBeLessThan(4);
  });

  test('all subsets of what is not excluded are equally likely', () => {
    const allowed = [1, 2, 4, 6];
    const choices = allowed.map(left => allowed.filter(value => value !== left).join());
    const excluded = Int32Array.of(0, 3, 5, 7);
    const counts = tally(choices, i => draw(randomKey(4, i), 8, 3, excluded).join());
    expect(Math.abs(deviation(counts))).toBeLessThan(4);
  });

  test.each([[-1], [1.5], [6], [Number.NaN]])('a size of %d of 5 is an error', size => {
    expect(() => draw(randomKey(0), 5, size)).toThrow(`${name}.size: expected an integer from 0 to 5`);
  });
});

describe('single entries and pairs are drawn as often as they should be', () => {
  const DRAWS = 4000;
  const FALSE_ALARM = 1e-9;

  /** How far a share of `DRAWS` is from its probability, for one of `events` events, with that false alarm (Bernstein). */
  function slack(probability: number, events: number): number {
    const exponent = Math.log((2 * events) / FALSE_ALARM) / DRAWS;
    return Math.sqrt(2 * probability * (1 - probability) * exponent) + exponent / 3;
  }

  // Every way in which randomSubsetByMask draws: a handful of many, one in 16 to 15 in 16, and fewer or more than that.
  test.each([
    ['a handful', 3000, 2],
    ['few', 100, 5],
    ['a quarter', 100, 25],
    ['about a third', 101, 34],
    ['half', 96, 48],
    ['three quarters', 100, 75],
    ['most', 100, 92],
    ['nearly all', 100, 97],
  ])('%s: %d, %d', (_, count, size) => {
    const key = (i: number) => randomKey(31, count, size, i);
    const watched = Math.min(count, 101);
    const singles = new Int32Array(count);
    const pairs = new Int32Array(watched * watched);
    for (let i = 0; i < DRAWS; i++) {
      const subset = randomSubsetByMask(key(i), count, size);
      for (const a of subset) {
        singles[a]!++;
        if (a < watched) for (const b of subset) if (b < a) pairs[a * watched + b]!++;
      }
    }
    const one = size / count;
    const two = (size * (size - 1)) / (count * (count - 1));
    const events = count + (watched * (watched - 1)) / 2;
    for (const hits of singles) expect(Math.abs(hits / DRAWS - one)).toBeLessThan(slack(one, events));
    for (let a = 0; a < watched; a++) {
      for (let b = 0; b < a; b++) {
        expect(Math.abs(pairs[a * watched + b]! / DRAWS - two)).toBeLessThan(slack(two, events));
      }
    }
    // All together: the statistic of singles is chi-square with count - 1 degrees of freedom. Beyond five standard
    // deviations by chance: below 1e-5 for each case, with the skewness of 99 degrees.
    const spread = singles.reduce((sum, hits) => sum + (hits - DRAWS * one) ** 2, 0);
    const statistic = (spread * (count - 1)) / (count * DRAWS * one * (1 - one));
    expect(Math.abs(statistic - (count - 1)) / Math.sqrt(2 * (count - 1))).toBeLessThan(5);
  });

  // Numbers of one word are decided by the same random words, those of neighboring words by the next.
  test.each([0.25, 0.3, 0.7])('entries at a fixed distance in a large range, density %d', density => {
    const count = 2 ** 14 + 5;
    const size = Math.trunc(density * count);
    const draws = 200;
    const distances = [1, 2, 16, 31, 32, 33, 64];
    const mean = (distance: number) => ((count - distance) * size * (size - 1)) / (count * (count - 1));
    const sums = distances.map(() => 0);
    const squares = distances.map(() => 0);
    for (let i = 0; i < draws; i++) {
      const inside = new Uint8Array(count);
      for (const a of randomSubsetByMask(randomKey(41, size, i), count, size)) inside[a] = 1;
      distances.forEach((distance, d) => {
        let both = 0;
        for (let a = distance; a < count; a++) both += inside[a]! & inside[a - distance]!;
        sums[d]! += both - mean(distance);
        squares[d]! += (both - mean(distance)) ** 2;
      });
    }
    // Five standard errors; 6e-7 by chance for each.
    sums.forEach((sum, d) => {
      expect(Math.abs(sum)).toBeLessThan(5 * Math.sqrt(squares[d]!));
    });
  });
});

describe('large ranges of randomSubsetByMask', () => {
  test.each([
    ['a quarter', 250_000],
    ['one', 1],
    ['all but one', 999_999],
    ['all', 1_000_000],
  ])('%s of a million', (_, size) => {
    const subset = randomSubsetByMask(randomKey(6), 1_000_000, size);
    expect(subset).toHaveLength(size);
    expect(isAscending(subset)).toBe(true);
    expect(subset[0]! >= 0 && subset[size - 1]! < 1_000_000).toBe(true);
  });

  test('numbers up to 2^31 - 1 are drawn without building anything for all of them', () => {
    const drawn = upTo(200).flatMap(i => Array.from(randomSubsetByMask(randomKey(7, i), 2 ** 31, 3)));
    expect(drawn.every(value => Number.isInteger(value) && value >= 0)).toBe(true);
    // Of 600 uniform numbers some are in the last hundredth, by chance not with probability 0.0024.
    expect(Math.max(...drawn)).toBeGreaterThan(0.99 * 2 ** 31);
    expect(Math.min(...drawn)).toBeLessThan(0.01 * 2 ** 31);
  });

  test.each([[2 ** 31 + 1], [-1], [2.5], [Number.NaN]])('a count of %d is an error', count => {
    expect(() => randomSubsetByMask(randomKey(0), count, 0)).toThrow(
      'randomSubsetByMask.count: expected an integer from 0 to 2^31, as indices are int32',
    );
  });
});

describe('what is drawn for a key stays what it was: a saved run draws the same coordinates again', () => {
  const key = randomKey(1234, 'layers.0.q_proj', 3, 'rows');

  test('randomSubset', () => {
    expect(randomSubset(key, 40, 8).join(' ')).toMatchInlineSnapshot(`"3 4 6 8 9 19 21 24"`);
  });

  test('randomSubsetByMask: each way of drawing', () => {
    expect(randomSubsetByMask(key, 100_000, 5).join(' ')).toMatchInlineSnapshot(`"3118 24677 50612 56594 65856"`);
    expect(randomSubsetByMask(key, 200, 8).join(' ')).toMatchInlineSnapshot(`"6 29 39 48 98 99 110 128"`);
    expect(randomSubsetByMask(key, 40, 10).join(' ')).toMatchInlineSnapshot(`"2 11 13 17 22 26 33 35 37 39"`);
    expect(randomSubsetByMask(key, 70, 21).join(' ')).toMatchInlineSnapshot(
      `"2 7 10 13 16 18 22 24 27 28 32 34 35 42 46 53 54 56 60 63 64"`,
    );
    expect(upTo(70).filter(value => !randomSubsetByMask(key, 70, 66).includes(value))).toMatchInlineSnapshot(`
      [
        3,
        49,
        55,
        64,
      ]
    `);
    // A sum that changes with every entry and its place.
    const sum = randomSubsetByMask(key, 300_007, 100_000).reduce((hash, value) => (Math.imul(hash, 31) + value) | 0, 7);
    expect(sum).toMatchInlineSnapshot(`1715744089`);
  });
});
