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

/**
 * The largest difference, relative to the largest expected value or to `floor`, if that is more: what is nearly all zeros
 * has no scale of its own. NaN in either counts as an infinite difference.
 */
export function worstError(found: ArrayLike<number>, expected: ArrayLike<number>, floor = 1e-3): number {
  let scale = floor;
  let worst = 0;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i]!));
  for (let i = 0; i < expected.length; i++) {
    const error = Math.abs(found[i]! - expected[i]!) / scale;
    worst = Number.isNaN(error) ? Number.POSITIVE_INFINITY : Math.max(worst, error);
  }
  return worst;
}
