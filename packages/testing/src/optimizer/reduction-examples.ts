import fc, { type Arbitrary } from 'fast-check';
import { type GradientStream, gradientStreams } from '../arbitraries/gradient-streams.js';
import { withShapes } from './trajectory.js';

/** What a run of a reduction draws. */
export interface ReductionExample {
  readonly stream: GradientStream;
  readonly density: number;
  readonly every: number;
  readonly weightDecay: number;
  readonly seed: number;
}

export const reductionExamples = (): Arbitrary<ReductionExample> =>
  fc.record({
    stream: gradientStreams({ parameters: 2, smallest: 2 }),
    density: fc.constantFrom(0.5, 0.25, 0.75, 0, 1),
    every: fc.integer({ min: 1, max: 4 }),
    weightDecay: fc.constantFrom(0, 0.1),
    seed: fc.nat({ max: 9999 }),
  });

/** The first parameter of a stream alone. */
export function only(stream: GradientStream): { one: GradientStream; m: number; n: number } {
  const [m, n] = stream.shapes['a'] as [number, number];
  return { one: withShapes(stream, { a: [m, n] }), m, n };
}
