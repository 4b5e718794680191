import { InvalidOptionError } from '../errors.js';
import { type RandomKey, randomUniform, threefry2x32 } from './keys.js';

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
function requireSubsetSize(owner: string, count: number, size: number): void {
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
function avoiding(
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

/** Indices are int32. */
const LARGEST_COUNT = 2 ** 31;
/** Of fewer than one in this many numbers, drawing them one by one costs less than deciding 32 at a time. */
const FEW = 16;
/** Of fewer than one in this many numbers, a set of those drawn takes less memory and time than a bit for each. */
const VERY_FEW = 1024;
/** Binary digits of the probability that entries are first chosen with, at most. */
const MOST_DIGITS = 16;

/**
 * A uniformly random subset of `size` of the numbers 0 … `count`-1, without replacement and in ascending order, as
 * {@link randomSubset} gives it but faster: a random number decides about up to 32 numbers, not about one. The two
 * choose different subsets for the same key.
 *
 * Each number is first taken independently with a probability p near size / count, 32 of them at a time, by comparing
 * one random binary digit after the other with those of p, until none is undecided. Then numbers drawn at random are
 * added, or removed, until there are `size`. Neither step prefers any number to another, so all subsets of that size are
 * equally likely, exactly and whatever p is. Only integers are compared: every engine draws the same subset.
 *
 * Time O(size), and O(`count`) where numbers are excluded; memory O(size).
 *
 * @param excluded Numbers below `count`, distinct and ascending, that should not be drawn. They are used, lowest first,
 *   only when too few others are left.
 * @throws InvalidOptionError when `count` is not an integer from 0 to 2^31, or `size` not one from 0 to `count`.
 */
export function randomSubsetByMask(key: RandomKey, count: number, size: number, excluded?: Int32Array): Int32Array {
  if (!Number.isInteger(count) || count < 0 || count > LARGEST_COUNT) {
    throw new InvalidOptionError({
      parameter: 'randomSubsetByMask.count',
      found: count,
      expected: 'an integer from 0 to 2^31, as indices are int32',
    });
  }
  requireSubsetSize('randomSubsetByMask', count, size);
  return avoiding(count, size, excluded, available => draw(key, available, size));
}

function draw(key: RandomKey, count: number, size: number): Int32Array {
  if (size === 0) return new Int32Array(0);
  const words = new RandomWords(key);
  if (size < count / VERY_FEW) return drawVeryFew(words, count, size);
  const mask = new Uint32Array(Math.ceil(count / 32));
  adjust(words, mask, count, firstChoice(words, mask, count, size), size);
  return positionsIn(mask, size);
}

function drawVeryFew(words: RandomWords, count: number, size: number): Int32Array {
  const drawn = new Set<number>();
  while (drawn.size < size) drawn.add(words.below(count));
  return Int32Array.from(drawn).sort();
}

/** Sets bits such that about `size` of the first `count` are set, and returns how many it set. */
function firstChoice(words: RandomWords, mask: Uint32Array, count: number, size: number): number {
  if (size < count / FEW) return 0;
  if (count - size < count / FEW) {
    mask.fill(0xffffffff);
    if (count % 32 !== 0) mask[mask.length - 1] = 2 ** (count % 32) - 1;
    return count;
  }
  return takeIndependently(words, mask, count, size);
}

/** Sets each of the first `count` bits with a probability near size / count, and returns how many it set. */
function takeIndependently(words: RandomWords, mask: Uint32Array, count: number, size: number): number {
  // Rounding p to half the digits of `count` shifts the number of bits by less than chance does.
  let digits = Math.min(MOST_DIGITS, Math.ceil((32 - Math.clz32(count)) / 2));
  let p = Math.min(Math.round((size / count) * 2 ** digits), 2 ** digits - 1);
  for (; p % 2 === 0 && digits > 1; digits--) p /= 2;
  let taken = 0;
  for (let at = 0; at < mask.length; at++) {
    // Bits whose random digits were those of p so far; a smaller digit decides for, a larger one against.
    let undecided = -1;
    let bits = 0;
    for (let digit = digits - 1; digit >= 0 && undecided !== 0; digit--) {
      const random = words.next();
      if ((p >>> digit) & 1) {
        bits |= undecided & ~random;
        undecided &= random;
      } else {
        undecided &= ~random;
      }
    }
    const beyond = (at + 1) * 32 - count;
    if (beyond > 0) bits &= -1 >>> beyond;
    mask[at] = bits;
    taken += bitCount(bits);
  }
  return taken;
}

/** Sets or clears bits drawn at random until `size` of the first `count` are set. */
function adjust(words: RandomWords, mask: Uint32Array, count: number, taken: number, size: number): void {
  const isShort = taken < size;
  for (let missing = Math.abs(size - taken); missing > 0; ) {
    const i = words.below(count);
    const bit = 1 << (i & 31);
    const isSet = (mask[i >>> 5]! & bit) !== 0;
    if (isSet === isShort) continue;
    mask[i >>> 5]! ^= bit;
    missing--;
  }
}

/** The positions of the bits that are set, `size` of them. */
function positionsIn(mask: Uint32Array, size: number): Int32Array {
  const out = new Int32Array(size);
  let filled = 0;
  for (let at = 0; at < mask.length; at++) {
    for (let bits = mask[at]! | 0; bits !== 0; bits &= bits - 1) {
      out[filled++] = at * 32 + 31 - Math.clz32(bits & -bits);
    }
  }
  return out;
}

function bitCount(bits: number): number {
  let x = bits - ((bits >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

/** The 32-bit words of a stream, one after the other. */
class RandomWords {
  readonly #key: RandomKey;
  readonly #block: Uint32Array = new Uint32Array(2);
  #used = 0;

  constructor(key: RandomKey) {
    this.#key = key;
  }

  next(): number {
    const index = this.#used++;
    if ((index & 1) === 0) threefry2x32(this.#key, (index / 2) >>> 0, Math.floor(index / 2 ** 33), this.#block);
    return this.#block[index & 1]!;
  }

  /** An integer uniform on 0 … `count`-1, where 2 ≤ `count` ≤ 2^31. */
  below(count: number): number {
    const surplus = Math.clz32(count - 1);
    for (;;) {
      const drawn = this.next() >>> surplus;
      if (drawn < count) return drawn;
    }
  }
}
