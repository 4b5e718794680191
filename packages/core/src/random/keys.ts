/** The key of a stream of random numbers: two 32-bit words. */
export type RandomKey = readonly [number, number];

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

const PARITY = 0x1bd11bda;

/**
 * Threefry-2x32 with 20 rounds (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011): a bijection
 * of a 64-bit counter under a 64-bit key. Only 32-bit additions, rotations and exclusive ors, so every engine gives
 * the same bits.
 *
 * Writes the two output words to `out[0]` and `out[1]`.
 */
export function threefry2x32(key: RandomKey, counter0: number, counter1: number, out: Uint32Array): void {
  const k0 = key[0] | 0;
  const k1 = key[1] | 0;
  const k2 = PARITY ^ k0 ^ k1;
  let x0 = (counter0 + k0) | 0;
  let x1 = (counter1 + k1) | 0;

  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 13) | (x1 >>> 19)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 15) | (x1 >>> 17)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 26) | (x1 >>> 6)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 6) | (x1 >>> 26)) ^ x0;
  x0 = (x0 + k1) | 0;
  x1 = (x1 + k2 + 1) | 0;

  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 17) | (x1 >>> 15)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 29) | (x1 >>> 3)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 16) | (x1 >>> 16)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 24) | (x1 >>> 8)) ^ x0;
  x0 = (x0 + k2) | 0;
  x1 = (x1 + k0 + 2) | 0;

  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 13) | (x1 >>> 19)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 15) | (x1 >>> 17)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 26) | (x1 >>> 6)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 6) | (x1 >>> 26)) ^ x0;
  x0 = (x0 + k0) | 0;
  x1 = (x1 + k1 + 3) | 0;

  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 17) | (x1 >>> 15)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 29) | (x1 >>> 3)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 16) | (x1 >>> 16)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 24) | (x1 >>> 8)) ^ x0;
  x0 = (x0 + k1) | 0;
  x1 = (x1 + k2 + 4) | 0;

  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 13) | (x1 >>> 19)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 15) | (x1 >>> 17)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 26) | (x1 >>> 6)) ^ x0;
  x0 = (x0 + x1) | 0;
  x1 = ((x1 << 6) | (x1 >>> 26)) ^ x0;
  out[0] = x0 + k2;
  out[1] = x1 + k0 + 5;
}

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

// Logarithm, sine and cosine from additions, multiplications and divisions alone. The versions of `Math` may differ in
// the last bit between engines, and a basis drawn with them would then differ between the machine that saved a run and
// the one that continues it.

const LN2_HIGH = 0.6931471803691238;
const LN2_LOW = 1.9082149292705877e-10;

const doubles = new Float64Array(1);
const words = new Uint32Array(doubles.buffer);

/** ln x for a normal positive double, to about one unit in the last place. */
export function naturalLog(x: number): number {
  if (!(x > 0) || x === Number.POSITIVE_INFINITY) return x === 0 ? Number.NEGATIVE_INFINITY : x > 0 ? x : Number.NaN;
  doubles[0] = x;
  let exponent = ((words[1]! >>> 20) & 0x7ff) - 1023;
  words[1] = (words[1]! & 0x000fffff) | 0x3ff00000;
  let mantissa = doubles[0]!;
  if (mantissa > Math.SQRT2) {
    mantissa /= 2;
    exponent += 1;
  }
  // ln m = 2 artanh s with s = (m-1)/(m+1), |s| < 0.172: the series gains about 1.5 digits a term.
  const s = (mantissa - 1) / (mantissa + 1);
  const s2 = s * s;
  let sum = 0;
  for (let k = 23; k >= 3; k -= 2) sum = (sum + 1 / k) * s2;
  return exponent * LN2_HIGH + (2 * s + (2 * s * sum + exponent * LN2_LOW));
}

/** cos(2π · turns). */
export function cosTurns(turns: number): number {
  const reduced = Math.abs(turns - Math.floor(turns + 0.5));
  // Fold [0, ½] to the eighth nearest an axis, where the Taylor series is short.
  if (reduced > 0.375) return -cosine(0.5 - reduced);
  if (reduced > 0.125) return sine(0.25 - reduced);
  return cosine(reduced);
}

/** sin(2π · turns). */
export function sinTurns(turns: number): number {
  return cosTurns(turns - 0.25);
}

function cosine(turns: number): number {
  const x = 2 * Math.PI * turns;
  let sum = 0;
  for (let k = 18; k >= 2; k -= 2) sum = (-(1 + sum) * x * x) / (k * (k - 1));
  return 1 + sum;
}

function sine(turns: number): number {
  const x = 2 * Math.PI * turns;
  let sum = 0;
  for (let k = 19; k >= 3; k -= 2) sum = (-(1 + sum) * x * x) / (k * (k - 1));
  return x * (1 + sum);
}
