import { expect } from 'vitest';

/** Every entry within `tolerance` of the expected one, relative to it. */
export function expectClose(actual: ArrayLike<number>, expected: ArrayLike<number>, tolerance = 2e-6): void {
  expect(actual.length).toBe(expected.length);
  for (let i = 0; i < expected.length; i++) {
    const bound = tolerance * Math.abs(expected[i]!);
    if (!(Math.abs(actual[i]! - expected[i]!) <= bound)) {
      expect.fail(`entry ${i}: ${actual[i]} is not ${expected[i]} ± ${bound}`);
    }
  }
}
