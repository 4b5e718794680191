import fc, { type Arbitrary } from 'fast-check';
import { type GradientStream, gradientStreams } from '../arbitraries/gradient-streams.js';

/** What a run over several refreshes draws. */
export interface ScheduleExample {
  readonly stream: GradientStream;
  /** Updates between refreshes. */
  readonly every: number;
  readonly weightDecay: number;
  readonly seed: number;
}

export const scheduleExamples = (): Arbitrary<ScheduleExample> =>
  fc.record({
    stream: gradientStreams({ parameters: 2, smallest: 2, steps: 10 }),
    every: fc.integer({ min: 1, max: 5 }),
    weightDecay: fc.constantFrom(0.1, 0, 0.5),
    seed: fc.nat({ max: 9999 }),
  });
