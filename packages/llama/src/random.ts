/** A stream of random numbers: two 32-bit words derived from a seed and a label. */
export type RandomKey = readonly [number, number];

const ROTATIONS = [13, 15, 26, 6, 17, 29, 16, 24] as const;
const PARITY = 0x1bd11bda;

/**
 * Threefry-2×32 with 20 rounds: a bijection of two 32-bit words under a key, whose outputs for successive counters
 * pass the usual statistical batteries (Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). Being a
 * pure function, it has no generator state: a resumed run draws the same numbers by asking for the same indices.
 *
 * @param out Receives the two words.
 */
export function threefry2x32(key: RandomKey, low: number, high: number, out: Uint32Array): void {
  let k0 = key[0];
  let k1 = key[1];
  let k2 = PARITY ^ k0 ^ k1;
  let x = (low + k0) | 0;
  let y = (high + k1) | 0;
  for (let group = 1; group <= 5; group++) {
    const first = group % 2 === 1 ? 0 : 4;
    for (let r = first; r < first + 4; r++) {
      const bits = ROTATIONS[r]!;
      x = (x + y) | 0;
      y = ((y << bits) | (y >>> (32 - bits))) ^ x;
    }
    x = (x + k1) | 0;
    y = (y + k2 + group) | 0;
    const turned = k0;
    k0 = k1;
    k1 = k2;
    k2 = turned;
  }
  out[0] = x;
  out[1] = y;
}

const words = new Uint32Array(2);

/** The stream that belongs to an integer seed and a label; different labels give independent streams. */
export function randomKey(seed: number, label: string): RandomKey {
  let a = 0x811c9dc5;
  let b = 0x9747b28c;
  for (let i = 0; i < label.length; i++) {
    const unit = label.charCodeAt(i);
    a = Math.imul(a ^ unit, 0x01000193);
    b = Math.imul(b + unit, 0x5bd1e995) ^ (b >>> 15);
  }
  threefry2x32([a, b], seed | 0, Math.floor(seed / 0x100000000) | 0, words);
  return [words[0]!, words[1]!];
}

/** The `index`-th number of the stream, uniform on [0, 1) with 53 random bits. */
export function randomUniform(key: RandomKey, index: number): number {
  threefry2x32(key, index | 0, Math.floor(index / 0x100000000) | 0, words);
  return ((words[0]! >>> 5) * 0x4000000 + (words[1]! >>> 6)) * 2 ** -53;
}

/** `count` independent normal numbers of mean 0 and the given standard deviation (Box–Muller). */
export function randomNormals(key: RandomKey, count: number, standardDeviation: number): Float32Array {
  const out = new Float32Array(count);
  for (let i = 0; i < count; i += 2) {
    threefry2x32(key, i >>> 1, 0, words);
    // The half keeps the argument of the logarithm off zero.
    const radius = standardDeviation * Math.sqrt(-2 * Math.log((words[0]! + 0.5) * 2 ** -32));
    const angle = words[1]! * (2 * Math.PI * 2 ** -32);
    out[i] = radius * Math.cos(angle);
    if (i + 1 < count) out[i + 1] = radius * Math.sin(angle);
  }
  return out;
}

/**
 * The `index`-th entry of a random permutation of 0 … `count`-1, found without making the others: a four-round Feistel
 * network on the next even power of two, walked along its cycle until it lands below `count` (Black & Rogaway 2002,
 * "Ciphers with arbitrary finite domains"). Takes four walks or fewer on average.
 */
export function permutedIndex(key: RandomKey, index: number, count: number): number {
  const bits = Math.max(1, Math.ceil(Math.log2(Math.max(2, count)) / 2));
  const half = 2 ** bits;
  let value = index;
  do {
    let left = Math.floor(value / half);
    let right = value % half;
    for (let round = 0; round < 4; round++) {
      threefry2x32(key, right, round, words);
      const mixed = left ^ (words[0]! & (half - 1));
      left = right;
      right = mixed >>> 0;
    }
    value = left * half + right;
  } while (value >= count);
  return value;
}
