import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { encode, signed, unsigned } from '../src/index.js';

describe('LEB128', () => {
  it('decodes to the number again', () =>
    fc.assert(
      fc.property(fc.integer(), value => {
        const bytes = signed(value);
        const bits = bytes.reduce((sum, byte, i) => sum | (BigInt(byte & 0x7f) << BigInt(7 * i)), 0n);
        expect(BigInt.asIntN(Math.min(7 * bytes.length, 64), bits)).toBe(BigInt(value));
        expect(bytes.every((byte, i) => byte >= 0x80 === i < bytes.length - 1)).toBe(true);
        const plain = unsigned(value).reduce((sum, byte, i) => sum | (BigInt(byte & 0x7f) << BigInt(7 * i)), 0n);
        expect(plain).toBe(BigInt(value >>> 0));
      }),
    ));

  it('encodes a number as a constant', () => expect(encode(-1)).toEqual([0x41, 0x7f]));
});
