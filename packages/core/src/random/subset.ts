import { InvalidOptionError } from '../errors.js';
import { randomUniform } from './distributions.js';
import type { RandomKey } from './threefry.js';

/**
 * A uniformly random subset of `size` of the numbers 0 … `count`-1, without replacement and in ascending order, by
 * selection sampling (Knuth, TAOCP vol. 2, algorithm 3.4.2S): one pass, memory for the subset alone.
 *
 * It hashes once per number; where there are millions, {@link randomSubsetByMask} draws another subset, of the same
 * distribution, many times faster. Neither may change what it gives for a key: checkpoints rely on it.
 *
 * @param excluded Numbers below `count`, distinct and ascending, that should not be drawn. They are used, lowest first,
 *   only when too few others are left.
 * @throws InvalidOptionError when `size` is not an integer from 0 to `count`.
 */
export function randomSubset(key: RandomKey, count: number, size: number, excluded?: Int32Array): Int32Array {
  requireSubsetSize('randomSubset', count, size);
  return avoiding(count, size, excluded, available => selectionSample(key, available, size));
}

/** Checks the number of elements to draw of `count`. */
export function requireSubsetSize(owner: string, count: number, size: number): void {
  if (Number.isInteger(size) && size >= 0 && size <= count) return;
  throw new InvalidOptionError({
    parameter: `${owner}.size`,
    found: size,
    expected: `an integer from 0 to ${count}, the count`,
  });
}

/**
 * Draws from the numbers that are not excluded, or takes all of them and the lowest excluded ones.
 *
 * @param draw Draws `size` of the numbers below its argument, ascending.
 */
export function avoiding(
  count: number,
  size: number,
  excluded: Int32Array | undefined,
  draw: (available: number) => Int32Array,
): Int32Array {
  if (excluded === undefined) return draw(count);
  const available = count - excluded.length;
  if (available <= size) return allOthers(count, size, excluded);
  const drawn = draw(available);
  // The draw numbered the available entries; shift each past the excluded ones before it.
  let skipped = 0;
  for (let i = 0; i < size; i++) {
    while (skipped < excluded.length && excluded[skipped]! <= drawn[i]! + skipped) skipped++;
    drawn[i] = drawn[i]! + skipped;
  }
  return drawn;
}

/** Every number that is not excluded, and as many of the lowest excluded ones as are missing; ascending. */
function allOthers(count: number, size: number, excluded: Int32Array): Int32Array {
  const out = new Int32Array(size);
  let missing = size - (count - excluded.length);
  let filled = 0;
  let next = 0;
  for (let i = 0; i < count; i++) {
    if (excluded[next] !== i || missing-- > 0) out[filled++] = i;
    if (excluded[next] === i) next++;
  }
  return out;
}

function selectionSample(key: RandomKey, count: number, size: number): Int32Array {
  const out = new Int32Array(size);
  let chosen = 0;
  for (let i = 0; chosen < size; i++) {
    if (randomUniform(key, i) * (count - i) < size - chosen) out[chosen++] = i;
  }
  return out;
}
