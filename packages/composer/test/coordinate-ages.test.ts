import './fixtures.js';
import { dispose, setBackend } from '@tensorflow/tfjs-core';
import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { CoordinateAges } from '../src/bound/slots.js';

const UNIVERSE = 9;
const SIZE = 4;

/** Ages by coordinate, each with a counter of its own: what cohorts must amount to. */
class PlainAges {
  private ages: Map<number, number>;

  constructor(coordinates: readonly number[], age: number) {
    this.ages = new Map(coordinates.map(coordinate => [coordinate, age]));
  }

  move(to: readonly number[]): void {
    this.ages = new Map(to.map(coordinate => [coordinate, this.ages.get(coordinate) ?? 0]));
  }

  change(next: (age: number) => number): void {
    this.ages = new Map([...this.ages].map(([coordinate, age]) => [coordinate, next(age)]));
  }

  counts(): number[] {
    return [...this.ages.values()];
  }
}

const subset = fc
  .subarray(
    Array.from({ length: UNIVERSE }, (_, i) => i),
    { minLength: SIZE, maxLength: SIZE },
  )
  .map(list => [...list].sort((a, b) => a - b));

type Event = { readonly to: readonly number[] } | { readonly steps: number } | { readonly later: number };

const events: fc.Arbitrary<Event[]> = fc.array(
  fc.oneof(
    fc.record({ to: subset }),
    fc.record({ steps: fc.integer({ min: 1, max: 3 }) }),
    fc.record({ later: fc.nat({ max: 2 }) }),
  ),
  { maxLength: 12 },
);

describe('ages of coordinates', () => {
  beforeAll(async () => void (await setBackend('cpu')));

  test('are those that a counter for each would have', () => {
    const rule = { scalars: (t: number) => ({ one: 1 / t, two: t * t }) };
    fc.assert(
      fc.property(subset, fc.nat({ max: 5 }), events, (start, age, history) => {
        const plain = new PlainAges(start, age);
        let ages = CoordinateAges.equal('element', SIZE, age);
        let at = start;
        for (const event of history) {
          if ('to' in event) {
            ages = ages.move(Int32Array.from(at), Int32Array.from(event.to));
            plain.move(event.to);
            at = [...event.to];
          } else if ('steps' in event) {
            for (let step = 0; step < event.steps; step++) ages.advance();
            plain.change(each => each + event.steps);
          } else {
            ages.withdraw(event.later);
            plain.change(each => (each > event.later ? each - 1 : each));
          }
          const expected = plain.counts();
          expect(Array.from(ages.counts())).toEqual(expected);
          expect(ages.first()).toBe(expected[0]);
          expect(ages.uniform()).toBe(new Set(expected).size === 1);
          expect(Array.from(CoordinateAges.of('element', ages.counts()).counts())).toEqual(expected);
          const scalars = ages.scalars(rule, [2, 2], 'coordinate');
          expect(Object.keys(scalars)).toEqual(['one', 'two']);
          expect(scalars['one']!.shape).toEqual([2, 2]);
          expect(Array.from(scalars['one']!.dataSync())).toEqual(expected.map(each => Math.fround(1 / (each + 1))));
          expect(Array.from(scalars['two']!.dataSync())).toEqual(expected.map(each => (each + 1) ** 2));
          dispose(scalars);
        }
      }),
      { seed: 4, numRuns: 200 },
    );
  });

  test('of no coordinates are uniform, and none is first', () => {
    const none = CoordinateAges.of('row', new Int32Array(0));
    expect(none.uniform()).toBe(true);
    expect(none.first()).toBeUndefined();
    expect(none.move(new Int32Array(0), Int32Array.of(3)).counts()).toEqual(Int32Array.of(0));
  });

  test('move also where there are more coordinates than a Map has room for', () => {
    const count = 2 ** 24 + 8;
    const from = Int32Array.from({ length: count }, (_, i) => i);
    const ages = CoordinateAges.equal('element', count, 7).move(
      from,
      from.map(i => i + 2),
    );
    expect(ages.uniform()).toBe(false);
    const counts = ages.counts();
    expect(counts.subarray(0, count - 2).every(age => age === 7)).toBe(true);
    expect(counts.subarray(count - 2)).toEqual(Int32Array.of(0, 0));
  });
});
