import fc from 'fast-check';

/** What may happen to bytes on a disk, on a wire, or in the hands of somebody who means harm. */
export type Mutation = (bytes: Uint8Array) => Uint8Array;

/** Pieces of JSON and numbers that are likely to hurt. */
const TOKENS = [
  ...['{', '}', '[', ']', '"', ',', ':', '\\', '-1', '1.5', '1e9', '0', '9007199254740993', 'null', '{}', '[[[['],
  ...[
    '"__proto__":',
    '"dtype"',
    '"F32"',
    '"I64"',
    '"F8_E4M3"',
    '"shape"',
    '"data_offsets"',
    '"version":2',
    '\u0000',
    '\ufeff',
  ],
].map(text => new TextEncoder().encode(text));

const at = fc.double({ min: 0, max: 1, noNaN: true });

function splice(bytes: Uint8Array, begin: number, removed: number, added: Uint8Array): Uint8Array {
  const end = Math.min(bytes.length, begin + removed);
  const result = new Uint8Array(begin + added.length + bytes.length - end);
  result.set(bytes.subarray(0, begin));
  result.set(added, begin);
  result.set(bytes.subarray(end), begin + added.length);
  return result;
}

const position = (bytes: Uint8Array, share: number): number => Math.floor(share * bytes.length);

const single: fc.Arbitrary<Mutation> = fc.oneof(
  // A flipped bit.
  fc.tuple(at, fc.nat(7)).map(
    ([share, bit]): Mutation =>
      bytes => {
        const copy = bytes.slice();
        const index = Math.min(position(bytes, share), bytes.length - 1);
        if (index >= 0) copy[index]! ^= 1 << bit;
        return copy;
      },
  ),
  // Other bytes in the place of some.
  fc.tuple(at, fc.nat(9), fc.uint8Array({ maxLength: 9 })).map(
    ([share, removed, added]): Mutation =>
      bytes =>
        splice(bytes, position(bytes, share), removed, added),
  ),
  fc.tuple(at, fc.nat(9), fc.constantFrom(...TOKENS)).map(
    ([share, removed, token]): Mutation =>
      bytes =>
        splice(bytes, position(bytes, share), removed, token),
  ),
  // A digit that became another one.
  fc.tuple(at, fc.nat(9)).map(
    ([share, digit]): Mutation =>
      bytes => {
        const copy = bytes.slice();
        const start = position(bytes, share);
        const index = copy.findIndex((byte, i) => i >= start && byte >= 0x30 && byte <= 0x39);
        if (index >= 0) copy[index] = 0x30 + digit;
        return copy;
      },
  ),
  // Cut off, appended to, a part twice, a part missing, zeros where a block was lost.
  at.map(
    (share): Mutation =>
      bytes =>
        bytes.slice(0, position(bytes, share)),
  ),
  fc.uint8Array({ minLength: 1, maxLength: 600 }).map(
    (added): Mutation =>
      bytes =>
        splice(bytes, bytes.length, 0, added),
  ),
  fc.tuple(at, at).map(
    ([share, length]): Mutation =>
      bytes => {
        const begin = position(bytes, share);
        return splice(bytes, begin, 0, bytes.slice(begin, begin + position(bytes, length)));
      },
  ),
  fc.tuple(at, at).map(
    ([share, length]): Mutation =>
      bytes =>
        splice(bytes, position(bytes, share), position(bytes, length), new Uint8Array(0)),
  ),
  fc.tuple(at, fc.nat(600)).map(
    ([share, length]): Mutation =>
      bytes => {
        const begin = position(bytes, share);
        return bytes.slice().fill(0, begin, begin + length);
      },
  ),
);

/** One to three of them, one after the other. */
export const mutation: fc.Arbitrary<Mutation> = fc
  .array(single, { minLength: 1, maxLength: 3 })
  .map(all => bytes => all.reduce((mutated, each) => each(mutated), bytes));
