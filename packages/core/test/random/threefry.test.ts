import { randomKey, threefry2x32 } from '@frugaljs/core';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

function block(key: readonly [number, number], counter: readonly [number, number]): string {
  const out = new Uint32Array(2);
  threefry2x32(key, counter[0], counter[1], out);
  return Array.from(out, word => word.toString(16).padStart(8, '0')).join(' ');
}

describe('threefry2x32, 20 rounds: the known answers of Random123', () => {
  test.each([
    { key: [0, 0], counter: [0, 0], expected: '6b200159 99ba4efe' },
    { key: [0xffffffff, 0xffffffff], counter: [0xffffffff, 0xffffffff], expected: '1cb996fc bb002be7' },
    { key: [0x13198a2e, 0x03707344], counter: [0x243f6a88, 0x85a308d3], expected: 'c4923a9c 483df7a0' },
  ] as const)('key $key, counter $counter', ({ key, counter, expected }) => {
    expect(block(key, counter)).toBe(expected);
  });

  test('negative and unsigned words are the same bits', () => {
    const word = fc.integer({ min: -0x80000000, max: -1 });
    fc.assert(
      fc.property(word, word, word, word, (k0, k1, c0, c1) => {
        expect(block([k0, k1], [c0, c1])).toBe(block([k0 >>> 0, k1 >>> 0], [c0 >>> 0, c1 >>> 0]));
      }),
    );
  });

  test('under one key, different counters give different blocks', () => {
    const blocks = Array.from({ length: 20_000 }, (_, i) => block([1, 2], [i % 200, Math.floor(i / 200)]));
    expect(new Set(blocks).size).toBe(blocks.length);
  });
});

describe('randomKey', () => {
  const label = fc.oneof(fc.string({ unit: 'binary' }), fc.integer(), fc.double({ noNaN: true }));

  test('is a pure function of seed and labels', () => {
    fc.assert(
      fc.property(fc.integer(), fc.array(label), (seed, labels) => {
        expect(randomKey(seed, ...labels)).toEqual(randomKey(seed, ...labels));
      }),
    );
  });

  test('differs when the seed or any label differs', () => {
    const identity = (seed: number, labels: readonly (string | number)[]) =>
      JSON.stringify([seed, ...labels].map(part => (typeof part === 'number' ? [part + 0] : part)));
    fc.assert(
      fc.property(
        fc.tuple(fc.integer(), fc.array(label, { maxLength: 4 })),
        fc.tuple(fc.integer(), fc.array(label, { maxLength: 4 })),
        ([seed, labels], [otherSeed, otherLabels]) => {
          fc.pre(identity(seed, labels) !== identity(otherSeed, otherLabels));
          expect(randomKey(seed, ...labels)).not.toEqual(randomKey(otherSeed, ...otherLabels));
        },
      ),
    );
  });

  test.each([
    ['a number and its decimal string', [1], ['1']],
    ['a number and the string with the same words', [0x610001], ['\u0001\u0061']],
    ['one label and two', ['ab'], ['a', 'b']],
    ['no label and an empty one', [], ['']],
    ['a trailing zero character', ['a'], ['a\0']],
    ['a fraction and the integer with the same upper bits', [0.5], [2 ** 31]],
    ['a fraction and the integer with the same 64 bits', [0.5], [0x3fe00000 * 2 ** 32]],
    ['two fractions', [0.1], [0.1 + 2 ** -50]],
    ['a negative number and its unsigned word', [-1], [0xffffffff]],
    ['numbers beyond 32 bits', [2 ** 32], [0]],
    ['the order of labels', ['a', 'b'], ['b', 'a']],
    ['infinity and the largest word', [Number.POSITIVE_INFINITY], [0]],
  ] as const)('tells apart: %s', (_, one, other) => {
    expect(randomKey(7, ...one)).not.toEqual(randomKey(7, ...other));
  });

  test('tells a seed from a label, and 0.5 from 2^31 as seeds', () => {
    expect(randomKey(0, 1)).not.toEqual(randomKey(1, 0));
    expect(randomKey(0.5)).not.toEqual(randomKey(2 ** 31));
    expect(randomKey(-0, -0)).toEqual(randomKey(0, 0));
  });

  test('stays what it was: a saved run derives the same subspaces again', () => {
    const hex = (key: readonly [number, number]) => key.map(word => word.toString(16).padStart(8, '0')).join(' ');
    expect(hex(randomKey(0))).toMatchInlineSnapshot(`"b51cc27c ca522cda"`);
    expect(hex(randomKey(1234, 'layers.0.q_proj', 3, 'rows'))).toMatchInlineSnapshot(`"fc14e778 ece67373"`);
  });
});
