import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { scheduleNames, trainingSchedule } from '../src/training/schedule.js';

const shapes = fc.constantFrom(...scheduleNames);

test('every shape warms up from 0 to the peak and never exceeds it', () => {
  fc.assert(
    fc.property(shapes, fc.integer({ min: 2, max: 500 }), fc.integer({ min: 1, max: 100 }), (shape, steps, warmup) => {
      const schedule = trainingSchedule({ peak: 2, steps, shape, warmup });
      const rates = Array.from({ length: steps }, (_, k) => schedule.at(k));
      const used = Math.min(warmup, steps - 1);
      expect(rates[0]).toBe(0);
      expect(rates[used]).toBeCloseTo(2, 9);
      for (const rate of rates) expect(rate).toBeLessThanOrEqual(2 + 1e-9);
      for (let k = 1; k <= used; k++) expect(rates[k]! - rates[k - 1]!).toBeCloseTo(2 / used, 9);
    }),
  );
});

test('every shape can begin one step of the warm-up above 0, and then ends it one update earlier', () => {
  fc.assert(
    fc.property(shapes, fc.integer({ min: 2, max: 500 }), fc.integer({ min: 1, max: 100 }), (shape, steps, warmup) => {
      const schedule = trainingSchedule({ peak: 2, steps, shape, warmup, warmupStart: 'step' });
      const used = Math.min(warmup, steps - 1);
      for (let k = 0; k < used; k++) expect(schedule.at(k)).toBeCloseTo((2 * (k + 1)) / used, 9);
      expect(schedule.at(used - 1)).toBe(2);
      // After it, nothing is another rate.
      const usual = trainingSchedule({ peak: 2, steps, shape, warmup });
      for (let k = used; k < steps; k++) expect(schedule.at(k)).toBe(usual.at(k));
    }),
  );
});

test('all but the constant shape fall to the floor after the last step', () => {
  for (const shape of scheduleNames) {
    const end = trainingSchedule({ peak: 1, steps: 50, shape, warmup: 5, floor: 0.2 }).at(50);
    expect(end).toBeCloseTo(shape === 'constant' ? 1 : 0.2, 9);
  }
});

test('a tenth of the run warms up unless told otherwise; a run of one step does not', () => {
  const schedule = trainingSchedule({ peak: 1, steps: 100 });
  expect([schedule.at(9), schedule.at(10)]).toEqual([0.9, 1]);
  for (const shape of scheduleNames) expect(trainingSchedule({ peak: 1, steps: 1, shape }).at(0)).toBe(1);
});

test.each([
  ['learningRate', { peak: -1, steps: 10 }],
  ['steps', { peak: 1, steps: 0 }],
  ['schedule', { peak: 1, steps: 10, shape: 'steep' as never }],
  ['warmup', { peak: 1, steps: 10, warmup: -1 }],
  ['warmupStart', { peak: 1, steps: 10, warmupStart: 'peak' as never }],
  ['floor', { peak: 1, steps: 10, floor: 2 }],
])('%s outside its domain is an error', (parameter, options) => {
  expect(() => trainingSchedule(options)).toThrow(new RegExp(`^${parameter}: expected`));
});
