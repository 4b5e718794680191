import { expect } from 'vitest';

/** Every entry within `tolerance` of the expected one, relative to `scales` (by default the expected entries). */
export function expectClose(
  actual: ArrayLike<number>,
  expected: ArrayLike<number>,
  tolerance = 2e-6,
  scales: ArrayLike<number> = Array.from(expected, Math.abs),
): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const bound = tolerance * scales[i]!;
    if (!(Math.abs(actual[i]! - expected[i]!) <= bound)) {
      expect.fail(`entry ${i}: ${actual[i]} is not ${expected[i]} ± ${bound}`);
    }
  }
}

/**
 * The same for a list of arrays, one per step. Relative to the largest value that the entry takes in any step: moving
 * averages of signed numbers cancel, and then hold the rounding errors of what they were.
 */
export function expectAllClose(
  actual: readonly ArrayLike<number>[],
  expected: readonly ArrayLike<number>[],
  tolerance?: number,
): void {
  expect(actual.length).toBe(expected.length);
  const scales = Array.from(expected[0]!, (_, i) => Math.max(...expected.map(step => Math.abs(step[i]!))));
  for (let t = 0; t < expected.length; t++) expectClose(actual[t]!, expected[t]!, tolerance, scales);
}
