import { type RandomKey, threefry2x32 } from './threefry.js';

export type { RandomKey } from './threefry.js';

const scratch = new Uint32Array(2);
const double = new Float64Array(1);
const doubleWords = new Uint32Array(double.buffer);

// Absorbed with the words, so that what happens to have the same words stays apart.
const SEED = 1;
const NUMBER = 2;
const TEXT = 3;
/** Added to the domain of a number that is not an integer. */
const FRACTION = 4;

/**
 * Derives the key of an independent stream from a seed and any number of labels, for example
 * `randomKey(site.seed, site.name, site.path, refresh, 'rows')`. There is no generator object: a number is a function of its
 * key and its index, so nothing has to be saved for a run to continue exactly.
 *
 * Labels are absorbed one by one; a number and its decimal string are different labels.
 */
export function randomKey(seed: number, ...labels: readonly (string | number)[]): RandomKey {
  let key = absorbNumber([0x66727567, 0x616c2e6a], seed, SEED);
  for (const label of labels) {
    key = typeof label === 'number' ? absorbNumber(key, label, NUMBER) : absorb(key, wordsOf(label), TEXT);
  }
  return key;
}

/** Absorbs words two at a time, each block under the key that the previous one left. */
function absorb(key: RandomKey, words: readonly number[], domain: number): RandomKey {
  let [k0, k1] = key;
  for (let i = 0; i < words.length; i += 2) {
    threefry2x32([k0, (k1 ^ domain) >>> 0], words[i]!, words[i + 1] ?? 0, scratch);
    k0 = scratch[0]!;
    k1 = scratch[1]!;
  }
  return [k0, k1];
}

/** Integers by value, all other numbers by their float64 bits. */
function absorbNumber(key: RandomKey, x: number, domain: number): RandomKey {
  if (Number.isInteger(x)) return absorb(key, [x >>> 0, Math.floor(x / 0x100000000) >>> 0], domain);
  double[0] = x;
  return absorb(key, [doubleWords[0]!, doubleWords[1]!], domain + FRACTION);
}

/** The length, which keeps `a` and `a\0` apart, and the UTF-16 code units, two a word. */
function wordsOf(text: string): number[] {
  const words = [text.length];
  for (let i = 0; i < text.length; i += 2) {
    const next = i + 1 < text.length ? text.charCodeAt(i + 1) : 0;
    words.push(text.charCodeAt(i) | (next << 16));
  }
  return words;
}
