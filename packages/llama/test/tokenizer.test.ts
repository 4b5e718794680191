import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { byteTokenizer, FormatError, jsonTokenizer, llama2cTokenizer, type Tokenizer } from '../src/index.js';
import { openTokenizer, readContent, tokenizerFiles } from '../src/node/index.js';
import { dataFile } from './data-folder.js';

const text = fc.string({ unit: 'grapheme', maxLength: 80 });
const SAMPLE = 'Hello  world,\n\n it’s 2024 — naïve 🤖 ';

function expectRoundTrip(tokenizer: Tokenizer): void {
  fc.assert(
    fc.property(text, value => {
      const ids = Array.from(tokenizer.encode(value));
      expect(ids.every(id => Number.isInteger(id) && id >= 0 && id < tokenizer.vocabSize)).toBe(true);
      expect(ids).not.toContain(tokenizer.separator);
      expect(tokenizer.decode(ids)).toBe(value);
    }),
    { seed: 3, numRuns: 200 },
  );
}

describe('byteTokenizer', () => {
  it.each([
    [{}, 257, 256],
    [{ separator: false }, 256, null],
  ])('%j: vocabulary %i, separator %j', (options, vocabulary, separator) => {
    const tokenizer = byteTokenizer(options);
    expect(tokenizer).toMatchObject({ kind: 'bytes', vocabSize: vocabulary, separator });
    expectRoundTrip(tokenizer);
  });

  it('is the UTF-8 of the text, byte order mark and all', () => {
    const tokenizer = byteTokenizer();
    expect(Array.from(tokenizer.encode('aé'))).toEqual([0x61, 0xc3, 0xa9]);
    expect(tokenizer.decode(tokenizer.encode('\ufeffx'))).toBe('\ufeffx');
  });

  it('drops separators and survives broken UTF-8 when decoding', () => {
    const tokenizer = byteTokenizer();
    expect(tokenizer.decode([256, 0x61, 256, 0x62])).toBe('ab');
    expect(tokenizer.decode([0x61, 0xff])).toBe('a\ufffd');
  });
});

/** Three control tokens, the 256 bytes, then these pieces with falling scores. */
function pieceFile(pieces: readonly string[]): Uint8Array {
  const all = ['<unk>', '\n<s>\n', '\n</s>\n'];
  for (let byte = 0; byte < 256; byte++) all.push(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  const parts = [Buffer.from(Int32Array.of(9).buffer)];
  for (const [i, piece] of [...all, ...pieces].entries()) {
    const bytes = Buffer.from(piece);
    parts.push(Buffer.from(Float32Array.of(-i).buffer), Buffer.from(Int32Array.of(bytes.length).buffer), bytes);
  }
  return Buffer.concat(parts);
}

describe('llama2cTokenizer', () => {
  const tokenizer = llama2cTokenizer(pieceFile([' a', 'bc', 'abc', ' ', 'a', 'b', 'c']));
  const [SPACE_A, BC, , SPACE, A, B, C] = [259, 260, 261, 262, 263, 264, 265];

  it('merges the pair with the best score first, leftmost among equals', () => {
    // " a" outranks "bc"; "abc" can then no longer form.
    expect(tokenizer.encode('abc')).toEqual([SPACE_A, BC]);
    expect(tokenizer.encode('bcb')).toEqual([SPACE, BC, B]);
    expect(tokenizer.encode('cba')).toEqual([SPACE, C, B, A]);
  });

  it('spells characters without a piece by their bytes', () => {
    expect(tokenizer.encode('é')).toEqual([SPACE, 3 + 0xc3, 3 + 0xa9]);
    expect(tokenizer.decode([1, SPACE, 3 + 0xc3, 3 + 0xa9, 2])).toBe('é');
  });

  it('gives back every text', () => {
    expectRoundTrip(tokenizer);
    expect(tokenizer.encode('')).toEqual([]);
  });

  it.each([
    ['a cut file', pieceFile(['abc']).subarray(0, -1), /piece 259.*a score, a length and as many bytes/],
    ['too few pieces', pieceFile([]).subarray(0, 100), /found "\d+ (bytes left|pieces)"/],
    ['a length below zero', Buffer.from(Int32Array.of(9, 0, -5).buffer), /piece 0/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => llama2cTokenizer(bytes)).toThrow(FormatError);
    expect(() => llama2cTokenizer(bytes)).toThrow(message);
  });

  const pieces = dataFile('checkpoints/stories260K/tok512.bin');
  it.skipIf(pieces === null)('reads the tokenizer of stories260K', async () => {
    const real = llama2cTokenizer(await readContent(pieces!));
    expect(real.vocabSize).toBe(512);
    // The token ids that the reference program feeds for this prompt.
    expect(real.encode('Once upon a time')).toEqual([403, 407, 261, 378]);
    expectRoundTrip(real);
  });
});

describe('jsonTokenizer', () => {
  const small = {
    version: '1.0',
    added_tokens: [
      {
        id: 4,
        content: '<|endoftext|>',
        special: true,
        single_word: false,
        lstrip: false,
        rstrip: false,
        normalized: false,
      },
    ],
    normalizer: null,
    pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    post_processor: null,
    decoder: { type: 'ByteLevel', add_prefix_space: false, trim_offsets: true, use_regex: true },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: null,
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: false,
      byte_fallback: false,
      vocab: { a: 0, b: 1, ab: 2, Ġ: 3 },
      merges: ['a b'],
    },
  };
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'frugal-tokenizer-'));
    await writeFile(join(folder, 'tokenizer.json.gz'), gzipSync(JSON.stringify(small)));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it('merges, decodes, and finds the separator of the vocabulary', () => {
    const tokenizer = jsonTokenizer(small);
    expect(tokenizer).toMatchObject({ kind: 'tokenizer.json', vocabSize: 5, separator: 4 });
    expect(tokenizer.encode('ab ba')).toEqual([2, 3, 1, 0]);
    expect(tokenizer.decode([4, 2, 3, 1, 0, 4])).toBe('ab ba');
  });

  it('prefers the end token that the tokenizer configuration names', () => {
    expect(jsonTokenizer(small, { eos_token: 'b' }).separator).toBe(1);
    expect(jsonTokenizer(small, { eos_token: { content: 'a' } }).separator).toBe(0);
  });

  it('is found compressed, by its path and by its folder', async () => {
    for (const name of [join(folder, 'tokenizer.json.gz'), folder]) {
      expect((await openTokenizer(name)).encode('ab')).toEqual([2]);
    }
    const environment = { FRUGAL_DATA: folder };
    await expect(openTokenizer('no-such', { cwd: folder, env: environment })).rejects.toThrow(/found "no-such"/);
    expect((await openTokenizer('bytes')).vocabSize).toBe(257);
  });

  it('is handed on as the files that transformers reads', async () => {
    const files = await tokenizerFiles(folder);
    expect(JSON.parse(files['tokenizer.json']!)).toHaveProperty('model');
    const copy = await mkdtemp(join(tmpdir(), 'frugal-tokenizer-'));
    for (const [name, text] of Object.entries(files)) await writeFile(join(copy, name), text);
    expect((await openTokenizer(copy)).encode('ab')).toEqual([2]);
    expect(await tokenizerFiles(copy)).toEqual(files);
    await rm(copy, { recursive: true });
    expect(await tokenizerFiles('bytes')).toEqual({});
  });

  it.each([
    [{}, /key "model"/],
    [{ model: { type: 'Nonsense' } }, /@huggingface\/tokenizers can run/],
  ])('refuses %j', (json, message) => {
    expect(() => jsonTokenizer(json)).toThrow(FormatError);
    expect(() => jsonTokenizer(json)).toThrow(message);
  });

  const bpe = dataFile('tokenizers/c4-bpe-2048/tokenizer.json');
  it.skipIf(bpe === null)('gives back every text with a byte-level vocabulary', async () => {
    const tokenizer = await openTokenizer(bpe!);
    expectRoundTrip(tokenizer);
    expect(tokenizer.encode(SAMPLE).length).toBeLessThan(Buffer.byteLength(SAMPLE));
  });

  const t5 = dataFile('tokenizers/t5-base/tokenizer.json.gz');
  it.skipIf(t5 === null)('reads T5, the tokenizer of the C4 pre-training runs', async () => {
    const tokenizer = await openTokenizer(t5!);
    expect(tokenizer).toMatchObject({ vocabSize: 32100, separator: 1 });
    expect(tokenizer.decode(tokenizer.encode('Beginners BBQ class'))).toBe('Beginners BBQ class');
  });
});

it.each([null, undefined, [], 7, 'text', true])('%j is no tokenizer.json', json => {
  expect(() => jsonTokenizer(json as never)).toThrow(/^tokenizer\.json: expected a JSON object, found /);
  if (json === undefined) return;
  expect(() => jsonTokenizer({ model: {} }, json as never)).toThrow(/^tokenizer_config\.json: expected a JSON object/);
});
