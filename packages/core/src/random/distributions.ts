import { cosTurns, naturalLog, sinTurns } from './elementary.js';
import { type RandomKey, threefry2x32 } from './threefry.js';

const scratch = new Uint32Array(2);
const TWO_POW_MINUS_53 = 2 ** -53;

/** A number uniform on [0, 1) with 53 random bits: the `index`-th of the stream. */
export function randomUniform(key: RandomKey, index: number): number {
  threefry2x32(key, index >>> 0, Math.floor(index / 0x100000000), scratch);
  return ((scratch[0]! >>> 5) * 67108864 + (scratch[1]! >>> 6)) * TWO_POW_MINUS_53;
}

/** An integer uniform on 0 … `count`-1: the `index`-th of the stream. */
export function randomInteger(key: RandomKey, index: number, count: number): number {
  return Math.floor(randomUniform(key, index) * count);
}

/**
 * `count` independent standard normal numbers by the Box–Muller transform, the same to the last bit on every engine
 * (logarithm and cosine are our own; square roots are exact by IEEE 754).
 */
export function randomNormals(key: RandomKey, count: number): Float32Array {
  const out = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    const radius = Math.sqrt(-2 * naturalLog(1 - randomUniform(key, i)));
    const turns = randomUniform(key, i + 1);
    out[i] = radius * cosTurns(turns);
    if (i + 1 < count) out[i + 1] = radius * sinTurns(turns);
  }
  return out;
}

/** A uniformly random permutation of 0 … `count`-1 (Fisher–Yates). */
export function randomPermutation(key: RandomKey, count: number): Int32Array {
  const order = new Int32Array(count);
  for (let i = 0; i < count; i++) order[i] = i;
  for (let i = count - 1; i > 0; i--) {
    const j = randomInteger(key, i, i + 1);
    const held = order[i]!;
    order[i] = order[j]!;
    order[j] = held;
  }
  return order;
}
