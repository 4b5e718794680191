import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { FrugalError } from '@frugaljs/core';
import { describe, expect, test } from 'vitest';
import { type ByteSource, bytesSource, InvalidCheckpointError, SafetensorsReader } from '../src/index.js';
import { parseBoundedJson } from '../src/json.js';

function file(header: string, dataBytes = 0, length: bigint | null = null): Uint8Array {
  const text = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + text.byteLength + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, length ?? BigInt(text.byteLength), true);
  bytes.set(text, 8);
  return bytes;
}

const entry = (more: object): string => JSON.stringify({ dtype: 'F32', shape: [2], data_offsets: [0, 8], ...more });

/** A source that claims a size and answers zeros, so that no test needs the bytes. */
function claimed(size: number, first: Uint8Array, largestRead: number): ByteSource {
  return {
    label: 'claimed',
    size,
    read: async (offset, length) => {
      expect(length).toBeLessThanOrEqual(largestRead);
      const bytes = new Uint8Array(length);
      bytes.set(first.subarray(offset, offset + length));
      return bytes;
    },
    close: async () => {},
  };
}

describe('the header of a hostile file is a typed error', () => {
  test.each<[string, Uint8Array, RegExp]>([
    ['an empty file', new Uint8Array(0), /found 0 bytes/],
    ['less than a length', new Uint8Array(7), /at least 8, found 7 bytes/],
    ['a header beyond the file', file('{}', 0, 3n), /header length: expected at most 2, found 3/],
    ['a header of 2^64 - 1 bytes', file('{}', 0, 2n ** 64n - 1n), /found 18446744073709551615 in a file of 10/],
    ['an empty header', file(''), /"\{" as the first byte/],
    ['space before the brace', file(' {}'), /"\{" as the first byte/],
    ['something after the end', file('{} x'), /the end of the header, found "x"/],
    ['a list', file('[]'), /first byte/],
    ['an open object', file('{"a":'), /found its end/],
    ['nesting', file(`{"a":${'['.repeat(100_000)}`), /header at byte 5: expected "\{"/],
    ['nesting in a shape', file(`{"a":{"shape":${'['.repeat(100_000)}`), /integer from 0/],
    ['an unknown field', file('{"a":{"dtype":"F32","more":1}}'), /a with "more"/],
    ['a field twice', file('{"a":{"dtype":"F32","dtype":"F32"}}'), /the key "dtype" a second time/],
    ['a tensor twice', file(`{"a":${entry({})},"a":${entry({})}}`, 8), /the key "a" a second time/],
    ['an escaped name twice', file(`{"a":${entry({})},"\\u0061":${entry({})}}`, 8), /the key "a" a second time/],
    ['metadata twice', file('{"__metadata__":{},"__metadata__":{}}'), /a second time/],
    ['a number in the metadata', file('{"__metadata__":{"a":1}}'), /expected "\\?""/],
    ['an unknown type', file(`{"a":${entry({ dtype: 'F31' })}}`, 8), /a of type F31/],
    ['a type of Object.prototype', file(`{"a":${entry({ dtype: 'constructor' })}}`, 8), /a of type constructor/],
    ['a missing field', file('{"a":{"dtype":"F32","shape":[2]}}', 8), /a without one of them/],
    ['one offset', file(`{"a":${entry({ data_offsets: [0] })}}`, 8), /two data_offsets/],
    ['three offsets', file(`{"a":${entry({ data_offsets: [0, 8, 8] })}}`, 8), /at most 2 numbers/],
    ['a negative offset', file(`{"a":${entry({ data_offsets: [-8, 0] })}}`, 8), /integer from 0.*-8/],
    ['a fraction', file(`{"a":${entry({ shape: [2.5] })}}`, 8), /expected "\]", found.*\.5/],
    ['an exponent', file('{"a":{"dtype":"F32","shape":[2e0],"data_offsets":[0,8]}}', 8), /found.*e0/],
    ['a leading zero', file('{"a":{"dtype":"F32","shape":[02],"data_offsets":[0,8]}}', 8), /found.*02/],
    ['2^53', file('{"a":{"dtype":"F32","shape":[9007199254740992],"data_offsets":[0,8]}}', 8), /2\^53 - 1/],
    ['a thousand digits', file(`{"a":{"dtype":"F32","shape":[${'9'.repeat(1000)}]`), /2\^53 - 1/],
    ['an overflowing shape', file(`{"a":${entry({ shape: [2 ** 40, 2 ** 40] })}}`, 8), /8 bytes for a/],
    ['an infinite shape', file(`{"a":${entry({ shape: Array(40).fill(2 ** 50) })}}`, 8), /8 bytes for a/],
    ['infinity times zero', file(`{"a":${entry({ shape: [...Array(40).fill(2 ** 50), 0] })}}`, 8), /8 bytes for a/],
    ['too many axes', file(`{"a":${entry({ shape: Array(65).fill(1) })}}`, 8), /at most 64 numbers/],
    [
      'a shape of another size',
      file(`{"a":${entry({ shape: [3] })}}`, 8),
      /expected 12 bytes, which the shape asks for, found 8 bytes for a, F32 \[3\]/,
    ],
    ['offsets that run backwards', file(`{"a":${entry({ data_offsets: [8, 0] })}}`, 8), /found -8 bytes for a/],
    ['offsets beyond the data', file(`{"a":${entry({ data_offsets: [8, 16] })}}`, 8), /after a gap/],
    [
      'an overlap',
      file(`{"a":${entry({})},"b":${entry({ data_offsets: [4, 12] })}}`, 12),
      /of b: expected 8, found 4, inside/,
    ],
    ['an alias', file(`{"a":${entry({})},"b":${entry({})}}`, 8), /of b: expected 8, found 0, inside/],
    [
      'a gap',
      file(`{"a":${entry({})},"b":${entry({ data_offsets: [12, 20] })}}`, 20),
      /of b: expected 8, found 12, after a gap/,
    ],
    ['data cut off', file(`{"a":${entry({})}}`, 7), /expected the 8 bytes that the header lists, found 7.*cut off/],
    ['data appended', file(`{"a":${entry({})}}`, 9), /found 9 bytes.*appended/],
    ['no UTF-8', file('{"\xff":0}').map(byte => (byte === 0xc3 ? 0xff : byte)), /string in UTF-8/],
    ['a lone surrogate', file('{"\\ud800":0}'), /string in UTF-8/],
    ['a bad escape', file('{"\\x":0}'), /string in UTF-8/],
    ['a control character', file('{"\u0001":0}'), /without control characters/],
    ['an open string', file('{"abc'), /closed string/],
  ])('%s', async (_, bytes, message) => {
    const failure = await SafetensorsReader.open(bytesSource(bytes, 'x.safetensors')).catch(error => error);
    expect(failure).toBeInstanceOf(InvalidCheckpointError);
    expect(failure).toBeInstanceOf(FrugalError);
    expect(failure.code).toBe('invalid-checkpoint');
    expect(failure.message).toMatch(message);
    expect(failure.message).toContain('x.safetensors');
    expect(failure.message.length).toBeLessThan(500);
  });
});

test('a header above 100 MB is refused before it is read, however large the file', async () => {
  const first = file('{}', 0, 100_000_001n);
  await expect(SafetensorsReader.open(claimed(2 ** 40, first, 8))).rejects.toThrow('at most 100000000');
  await expect(
    SafetensorsReader.open(claimed(2 ** 40, file('{}', 0, 1000n), 8), { largestHeader: 999 }),
  ).rejects.toThrow('at most 999');
});

describe('100 MB of header cost no more than their own bytes', () => {
  const size = 100_000_000;
  setFlagsFromString('--expose_gc');
  const collect = runInNewContext('gc') as () => void;
  const inUse = (): number => process.memoryUsage().arrayBuffers + process.memoryUsage().heapUsed;
  const bytes = new Uint8Array(8 + size);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(size), true);

  test.each([
    ['brackets', '{"a":{"shape":[', '['],
    ['digits', '{"a":{"shape":[', '9'],
    ['a name', '{"', 'x'],
    ['escapes', '{"', '\\'],
    ['space', '{', ' '],
  ])('%s', async (_, start, filler) => {
    bytes.fill(filler.charCodeAt(0), 8);
    bytes.set(new TextEncoder().encode(start), 8);
    collect();
    const before = inUse();
    await expect(SafetensorsReader.open(bytesSource(bytes))).rejects.toThrow(InvalidCheckpointError);
    expect(inUse() - before).toBeLessThan(1.5 * size);
  });
});

test('JSON that nests too deep is refused before it is parsed', () => {
  const bomb = new TextEncoder().encode(`${'['.repeat(5_000_000)}`);
  expect(() => parseBoundedJson(bomb, 'trainer.json')).toThrow('brackets more than 64 deep at byte 64');
  expect(parseBoundedJson(new TextEncoder().encode('{"a":"[[[\\"[[["}'), 'x')).toEqual({ a: '[[["[[[' });
});
