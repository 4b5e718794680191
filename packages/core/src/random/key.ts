import { type RandomKey, threefry2x32 } from './threefry.js';

export type { RandomKey } from './threefry.js';

const scratch = new Uint32Array(2);

/**
 * Derives the key of an independent stream from a seed and any number of labels, for example
 * `randomKey(seed, site.name, epoch, 'rows')`. There is no generator object: a number is a function of its key and its
 * index, so nothing has to be saved for a run to continue exactly.
 *
 * Labels are absorbed one by one; a number and its decimal string are different labels.
 */
export function randomKey(seed: number, ...labels: readonly (string | number)[]): RandomKey {
  let key = absorb([0x66727567, 0x616c2e6a], [lowWord(seed), highWord(seed)], 1);
  for (const label of labels) {
    if (typeof label === 'number') {
      key = absorb(key, [lowWord(label), highWord(label)], 2);
    } else {
      const words: number[] = [label.length];
      for (let i = 0; i < label.length; i += 2) {
        words.push(label.charCodeAt(i) | ((i + 1 < label.length ? label.charCodeAt(i + 1) : 0) << 16));
      }
      key = absorb(key, words, 3);
    }
  }
  return key;
}

/** Absorbs words two at a time, each block under the key that the previous one left; `domain` separates label types. */
function absorb(key: RandomKey, words: readonly number[], domain: number): RandomKey {
  let [k0, k1] = key;
  for (let i = 0; i < words.length; i += 2) {
    threefry2x32([k0, (k1 ^ domain) >>> 0], words[i]!, words[i + 1] ?? 0, scratch);
    k0 = scratch[0]!;
    k1 = scratch[1]!;
  }
  return [k0, k1];
}

function lowWord(x: number): number {
  return Number.isInteger(x) ? x >>> 0 : Math.floor(x * 0x100000000) >>> 0;
}

function highWord(x: number): number {
  return Math.floor(x / 0x100000000) >>> 0;
}
