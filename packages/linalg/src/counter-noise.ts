/**
 * Fixed pseudo-random numbers, uniform in (-1, 1): entry i depends on (stream, i) alone, so equal calls agree on every
 * engine and backend. It serves where any generic directions do: the start of a range finder without a caller's
 * `start`, and replacements for columns that carry no direction. Not a substitute for a caller's seeded generator.
 */
export function counterNoise(length: number, stream: number): Float32Array {
  const out = new Float32Array(length);
  const key = mix(stream ^ 0x9e3779b9);
  for (let i = 0; i < length; i++) {
    // 23 bits and a half step: exact in float32, never 0.
    out[i] = (mix(i ^ key) >>> 9) / 2 ** 22 - 1 + 2 ** -23;
  }
  return out;
}

/** The 32-bit finalizer of MurmurHash3 (public domain): every input bit flips every output bit with probability 1/2. */
function mix(value: number): number {
  let h = value | 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return h ^ (h >>> 16);
}
