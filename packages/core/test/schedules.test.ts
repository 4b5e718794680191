import {
  constant,
  cosine,
  InvalidOptionError,
  joined,
  linear,
  registerSchedule,
  type Schedule,
  scheduleFromJson,
  UnknownNameError,
  warmupCosine,
  warmupStableDecay,
} from '@frugaljs/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

const rate = fc.double({ min: 0, max: 10, noNaN: true });
const fraction = fc.double({ min: 0, max: 1, noNaN: true });
const steps = fc.integer({ min: 1, max: 500 });
const update = fc.integer({ min: 0, max: 2000 });

const linearArbitrary = fc.record({ from: rate, to: rate, steps }).map(linear);
const cosineArbitrary = fc
  .record({ peak: rate, steps, floor: fraction }, { requiredKeys: ['peak', 'steps'] })
  .map(cosine);
const warmupCosineArbitrary = fc
  .record({ warmup: fc.nat({ max: 100 }), more: steps, peak: rate, floor: fraction, cycle: fc.option(steps) })
  .map(({ warmup, more, cycle, ...rest }) =>
    warmupCosine({ ...rest, warmup, total: warmup + more, ...(cycle === null ? {} : { cycle: warmup + cycle }) }),
  );
const warmupStableDecayArbitrary = fc
  .record({ peak: rate, warmup: fc.nat({ max: 100 }), stable: fc.nat({ max: 300 }), decay: steps, floor: fraction })
  .map(warmupStableDecay);
const simple: fc.Arbitrary<Schedule> = fc.oneof(
  rate.map(constant),
  linearArbitrary,
  cosineArbitrary,
  warmupCosineArbitrary,
  warmupStableDecayArbitrary,
);
const anySchedule: fc.Arbitrary<Schedule> = fc.oneof(
  simple,
  fc
    .tuple(fc.array(fc.record({ schedule: simple, steps }), { maxLength: 3 }), simple)
    .map(([parts, last]) => joined([...parts, { schedule: last }])),
);

describe('every schedule', () => {
  test('is finite and never negative', () => {
    fc.assert(
      fc.property(anySchedule, update, (schedule, k) => {
        expect(schedule.at(k)).toBeGreaterThanOrEqual(0);
        expect(schedule.at(k)).toBeLessThan(Number.POSITIVE_INFINITY);
      }),
    );
  });

  test('is a pure function of the update', () => {
    fc.assert(
      fc.property(anySchedule, update, update, (schedule, k, other) => {
        const value = schedule.at(k);
        schedule.at(other);
        expect(schedule.at(k)).toBe(value);
      }),
    );
  });

  test('comes back from JSON as it was', () => {
    fc.assert(
      fc.property(anySchedule, update, ({ kind, options, at }, k) => {
        const json = JSON.parse(JSON.stringify({ kind, options }));
        const restored = scheduleFromJson(json);
        expect(restored.at(k)).toBe(at(k));
        expect(JSON.parse(JSON.stringify({ kind: restored.kind, options: restored.options }))).toEqual(json);
      }),
    );
  });
});

test('constant', () => {
  expect([0, 1, 1e9].map(constant(0.3).at)).toEqual([0.3, 0.3, 0.3]);
});

describe('linear', () => {
  test('is a straight line between its ends', () => {
    fc.assert(
      fc.property(rate, rate, steps, update, (from, to, count, k) => {
        const expected = from + ((to - from) * Math.min(k, count)) / count;
        expect(linear({ from, to, steps: count }).at(k)).toBeCloseTo(expected, 12);
      }),
    );
  });

  test('has its ends exactly, and keeps the last', () => {
    fc.assert(
      fc.property(rate, rate, steps, fc.nat({ max: 50 }), (from, to, count, more) => {
        const schedule = linear({ from, to, steps: count });
        expect(schedule.at(0)).toBe(from);
        expect(schedule.at(count + more)).toBe(to);
      }),
    );
  });
});

describe('cosine', () => {
  test('is peak · (floor + (1 - floor) · (1 + cos(π k / steps)) / 2), then the floor', () => {
    fc.assert(
      fc.property(rate, steps, fraction, update, (peak, count, floor, k) => {
        const schedule = cosine({ peak, steps: count, floor });
        const expected = peak * (floor + ((1 - floor) * (1 + Math.cos((Math.PI * Math.min(k, count)) / count))) / 2);
        expect(Math.abs(schedule.at(k) - expected)).toBeLessThanOrEqual(1e-14);
        expect(schedule.at(0)).toBe(peak);
        expect(schedule.at(count)).toBe(peak * floor);
        expect(schedule.at(count + k)).toBe(peak * floor);
      }),
    );
  });

  test('is half way at half time', () => {
    expect(cosine({ peak: 2, steps: 10 }).at(5)).toBe(1);
    expect(cosine({ peak: 2, steps: 10, floor: 0.5 }).at(5)).toBe(1.5);
  });
});

describe('warmupCosine', () => {
  test('rises from 0 along a line, reaches the peak at the end of the warm-up and the floor at the end', () => {
    const schedule = warmupCosine({ peak: 1e-3, warmup: 4, total: 12, floor: 0.1 });
    expect(schedule.at(0)).toBe(0);
    expect([1, 2, 3].map(schedule.at)).toEqual([0.25e-3, 0.5e-3, 0.75e-3]);
    expect(schedule.at(4)).toBe(1e-3);
    expect(schedule.at(8)).toBeCloseTo(0.55e-3, 15);
    expect([12, 13, 1000].map(schedule.at)).toEqual([1e-4, 1e-4, 1e-4]);
  });

  test('a warm-up that starts a step above 0 is at the peak one update earlier', () => {
    const schedule = warmupCosine({ peak: 1e-3, warmup: 4, warmupStart: 'step', total: 12, floor: 0.1 });
    expect([0, 1, 2, 3, 4].map(schedule.at)).toEqual([0.25e-3, 0.5e-3, 0.75e-3, 1e-3, 1e-3]);
    expect(schedule.at(12)).toBe(1e-4);
    const again = warmupCosine({ peak: 1, warmup: 2, warmupStart: 'step', total: 12, cycle: 6 });
    expect([0, 1, 6, 7].map(again.at)).toEqual([0.5, 1, 0.5, 1]);
  });

  test('only the start that is not the default is described', () => {
    expect(warmupCosine({ peak: 1, warmup: 2, warmupStart: 'zero', total: 4 }).options).toEqual({
      peak: 1,
      warmup: 2,
      total: 4,
      floor: 0,
      cycle: 4,
    });
    const schedule = warmupCosine({ peak: 1, warmup: 2, warmupStart: 'step', total: 4 });
    expect(scheduleFromJson(JSON.parse(JSON.stringify(schedule))).at(0)).toBe(0.5);
    expect(() => warmupCosine({ peak: 1, warmup: 2, warmupStart: 'first' as never, total: 4 })).toThrow(
      /warmupStart: expected one of zero, step, found first/,
    );
  });

  test('the warm-up is not raised to the floor', () => {
    expect(warmupCosine({ peak: 1, warmup: 100, total: 200, floor: 0.5 }).at(1)).toBe(0.01);
  });

  test('without a warm-up it is a cosine', () => {
    fc.assert(
      fc.property(rate, steps, fraction, update, (peak, total, floor, k) => {
        expect(warmupCosine({ peak, total, floor }).at(k)).toBe(cosine({ peak, steps: total, floor }).at(k));
      }),
    );
  });

  test('with a warm-up of one update only the first update has rate 0', () => {
    const schedule = warmupCosine({ peak: 1, warmup: 1, total: 3 });
    expect([0, 1, 3].map(schedule.at)).toEqual([0, 1, 0]);
  });

  test('every cycle is the same, its warm-up included', () => {
    fc.assert(
      fc.property(
        fc.nat({ max: 20 }),
        fc.integer({ min: 1, max: 50 }),
        fc.integer({ min: 1, max: 6 }),
        fraction,
        update,
        (warmup, rest, cycles, floor, k) => {
          const cycle = warmup + rest;
          const total = cycle * cycles;
          const restarting = warmupCosine({ peak: 0.7, warmup, total, floor, cycle });
          const single = warmupCosine({ peak: 0.7, warmup, total: cycle, floor });
          expect(restarting.at(k)).toBe(k < total ? single.at(k % cycle) : 0.7 * floor);
        },
      ),
    );
  });

  test('the boundary of a cycle is the first update of the next, that of the last cycle is the floor', () => {
    const schedule = warmupCosine({ peak: 1, warmup: 2, total: 20, floor: 0.1, cycle: 10 });
    expect(schedule.at(9)).toBeCloseTo(0.1 + 0.45 * (1 + Math.cos((7 / 8) * Math.PI)), 15);
    expect([10, 11, 12].map(schedule.at)).toEqual([0, 0.5, 1]);
    expect([20, 21].map(schedule.at)).toEqual([0.1, 0.1]);
  });

  test('without warm-up a cycle restarts at the peak', () => {
    expect(warmupCosine({ peak: 1, total: 30, cycle: 10 }).at(10)).toBe(1);
  });

  test('an unfinished last cycle ends at the floor all the same', () => {
    const schedule = warmupCosine({ peak: 1, warmup: 1, total: 15, floor: 0.2, cycle: 10 });
    expect(schedule.at(14)).toBeGreaterThan(0.2);
    expect(schedule.at(15)).toBe(0.2);
  });

  test('matches the rates of the published scripts: 10 % of a 10k cycle warm-up, floor .1, restarts up to 200k', () => {
    const schedule = warmupCosine({ peak: 1e-3, warmup: 1000, total: 200_000, floor: 0.1, cycle: 10_000 });
    for (const k of [0, 1, 500, 999, 1000, 5500, 9999, 10_500, 11_000, 15_500, 199_999]) {
      const position = k % 10_000;
      const factor =
        position < 1000
          ? position / 1000
          : 0.1 + 0.9 * 0.5 * (1 + Math.cos((Math.PI * (position - 1000)) / (10_000 - 1000)));
      expect(schedule.at(k)).toBeCloseTo(1e-3 * factor, 15);
    }
  });
});

describe('warmupStableDecay', () => {
  test('rises, stays and falls along straight lines', () => {
    const schedule = warmupStableDecay({ peak: 2, warmup: 4, stable: 3, decay: 5, floor: 0.5 });
    expect([0, 1, 2, 3].map(schedule.at)).toEqual([0, 0.5, 1, 1.5]);
    expect([4, 5, 6, 7].map(schedule.at)).toEqual([2, 2, 2, 2]);
    expect(schedule.at(8)).toBeCloseTo(1.8, 15);
    expect(schedule.at(11)).toBeCloseTo(1.2, 15);
    expect([12, 13, 999].map(schedule.at)).toEqual([1, 1, 1]);
  });

  test('its warm-up may start a step above 0, and is described so', () => {
    const schedule = warmupStableDecay({ peak: 2, warmup: 4, warmupStart: 'step', stable: 3, decay: 5 });
    expect([0, 1, 2, 3, 4].map(schedule.at)).toEqual([0.5, 1, 1.5, 2, 2]);
    expect(scheduleFromJson(JSON.parse(JSON.stringify(schedule))).at(0)).toBe(0.5);
  });

  test('ends at exactly floor · peak', () => {
    fc.assert(
      fc.property(rate, fraction, steps, fc.nat({ max: 20 }), (peak, floor, decay, stable) => {
        expect(warmupStableDecay({ peak, stable, decay, floor }).at(stable)).toBe(peak);
        expect(warmupStableDecay({ peak, stable, decay, floor }).at(stable + decay)).toBe(peak * floor);
      }),
    );
  });

  test('may have no plateau', () => {
    expect([0, 1, 2].map(warmupStableDecay({ peak: 1, stable: 0, decay: 2 }).at)).toEqual([1, 0.5, 0]);
  });
});

describe('joined', () => {
  test('each part counts from 0 where it begins', () => {
    const schedule = joined([
      { schedule: linear({ from: 0, to: 1, steps: 2 }), steps: 2 },
      { schedule: constant(1), steps: 3 },
      { schedule: linear({ from: 1, to: 0, steps: 4 }) },
    ]);
    expect([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 20].map(schedule.at)).toEqual([0, 0.5, 1, 1, 1, 1, 0.75, 0.5, 0.25, 0, 0]);
  });

  test('is the part itself when there is one', () => {
    fc.assert(
      fc.property(simple, update, (schedule, k) => {
        expect(joined([{ schedule }]).at(k)).toBe(schedule.at(k));
      }),
    );
  });

  test('joined schedules can be joined again', () => {
    const inner = joined([{ schedule: constant(1), steps: 2 }, { schedule: constant(2) }]);
    const outer = joined([{ schedule: inner, steps: 3 }, { schedule: constant(3) }]);
    expect([0, 1, 2, 3].map(outer.at)).toEqual([1, 1, 2, 3]);
    const { kind, options } = outer;
    expect([0, 1, 2, 3].map(scheduleFromJson(JSON.parse(JSON.stringify({ kind, options }))).at)).toEqual([1, 1, 2, 3]);
  });
});

describe('bad options are named', () => {
  const peak = 1;
  test.each<[string, () => unknown]>([
    ['constant.value', () => constant(-1)],
    ['constant.value', () => constant(Number.NaN)],
    ['constant.value', () => constant(Number.POSITIVE_INFINITY)],
    ['constant.value', () => constant('0.1' as unknown as number)],
    ['linear.steps', () => linear({ from: 0, to: 1, steps: 0 })],
    ['linear.to', () => linear({ from: 0, to: -1, steps: 1 })],
    ['linear.step', () => linear({ from: 0, to: 1, step: 5 } as unknown as Parameters<typeof linear>[0])],
    ['cosine.floor', () => cosine({ peak, steps: 10, floor: 1.1 })],
    ['cosine.steps', () => cosine({ peak, steps: 2.5 })],
    ['warmupCosine.total', () => warmupCosine({ peak, warmup: 10, total: 10 })],
    ['warmupCosine.warmup', () => warmupCosine({ peak, warmup: -1, total: 10 })],
    ['warmupCosine.cycle', () => warmupCosine({ peak, warmup: 10, total: 100, cycle: 10 })],
    [
      'warmupCosine.restarts',
      () => warmupCosine({ peak, total: 9, restarts: 3 } as Parameters<typeof warmupCosine>[0]),
    ],
    ['warmupStableDecay.decay', () => warmupStableDecay({ peak, stable: 1, decay: 0 })],
    ['joined.parts', () => joined([])],
    ['joined.parts[0].schedule', () => joined([{ schedule: 0.1 as never }])],
    ['joined.parts[1].schedule', () => joined([{ schedule: constant(1), steps: 2 }, undefined as never])],
    ['joined.parts[0].steps', () => joined([{ schedule: constant(1) }, { schedule: constant(2) }])],
    ['joined.parts[0].steps', () => joined([{ schedule: constant(1), steps: 0 }, { schedule: constant(2) }])],
    ['schedule', () => scheduleFromJson(null as unknown as number)],
    ['schedule', () => scheduleFromJson({ kind: 'cosine' } as unknown as Schedule)],
    ['constant.value', () => scheduleFromJson(-1)],
    ['constant.rate', () => scheduleFromJson({ kind: 'constant', options: { value: 1, rate: 2 } })],
    ['cosine.peak', () => scheduleFromJson({ kind: 'cosine', options: { steps: 3 } })],
    ['joined.parts', () => scheduleFromJson({ kind: 'joined', options: {} })],
    ['joined.parts[0]', () => scheduleFromJson({ kind: 'joined', options: { parts: [3] } })],
  ])('%s', (parameter, make) => {
    expect(make).toThrow(InvalidOptionError);
    expect(make).toThrow(`${parameter}: expected `);
  });

  test.each(['exponential', 'constructor', '__proto__'])('no schedule is called %s', kind => {
    expect(() => scheduleFromJson({ kind, options: {} })).toThrow(UnknownNameError);
    expect(() => scheduleFromJson({ kind, options: {} })).toThrow(
      `expected one of constant, linear, cosine, warmupCosine, warmupStableDecay, joined, found ${kind}.`,
    );
  });
});

test("a schedule of one's own is loaded once it is registered", () => {
  const halving = ({ first }: { readonly first: number }) => ({
    kind: 'halving',
    options: { first },
    at: (k: number) => first * 2 ** -k,
  });
  const json = JSON.parse(JSON.stringify(halving({ first: 8 })));
  expect(() => scheduleFromJson(json)).toThrow(/schedule\.kind: .*found halving\. Register .*registerSchedule/);
  expect(() => scheduleFromJson({ kind: 'warmup-cosine', options: {} })).toThrow(/Did you mean warmupCosine\?/);
  registerSchedule('halving', options => halving(options as { first: number }));
  expect([0, 1, 2].map(scheduleFromJson(json).at)).toEqual([8, 4, 2]);
  expect(() => registerSchedule('cosine', () => scheduleFromJson(1))).toThrow(/not built in/);
});
