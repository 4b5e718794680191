import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  ArgumentError,
  byteTokenizer,
  DataError,
  documentFormat,
  FormatError,
  parseDocuments,
  splitTail,
  TokenDataset,
  tokenStream,
} from '../src/index.js';

/** A stream whose ids are their own positions, so that a batch tells where it was cut from. */
const positions = (length: number): Int32Array => Int32Array.from({ length }, (_, i) => i);

describe('parseDocuments', () => {
  it('divides text at the end-of-text mark', () => {
    expect(parseDocuments('one\ntwo\n', 'text', 'x')).toEqual(['one\ntwo\n']);
    expect(parseDocuments('one\n<|endoftext|>\ntwo<|endoftext|>\n \n', 'text', 'x')).toEqual(['one\n', 'two']);
  });

  it('reads the key text of JSON lines', () => {
    expect(parseDocuments('{"text":"a","url":"u"}\n\n{"text":""}\n{"text":"b\\nc"}', 'jsonl', 'x')).toEqual([
      'a',
      'b\nc',
    ]);
  });

  it.each([
    ['{"text":"a"}\nnonsense', 'jsonl', /^x, line 2: expected a JSON object with the string "text", found "nonsense"/],
    ['{"body":"a"}', 'jsonl', /^x, line 1/],
    ['[1]', 'jsonl', /^x, line 1/],
    ['', 'jsonl', /^x: expected at least one document/],
    [' \n', 'text', /^x: expected at least one document/],
  ] as const)('refuses %j', (content, format, message) => {
    expect(() => parseDocuments(content, format, 'x')).toThrow(FormatError);
    expect(() => parseDocuments(content, format, 'x')).toThrow(message);
  });

  it.each([
    ['a.txt', 'text'],
    ['a.txt.gz', 'text'],
    ['b.JSONL', 'jsonl'],
    ['b.ndjson.gz', 'jsonl'],
  ])('takes %s for %s', (path, format) => {
    expect(documentFormat(path)).toBe(format);
  });
});

describe('splitTail', () => {
  it('keeps all text, in order, and holds out at least the fraction', () => {
    const documents = fc.array(fc.string({ minLength: 1, maxLength: 20 }), { minLength: 2, maxLength: 30 });
    fc.assert(
      fc.property(documents, fc.double({ min: 0.01, max: 0.3, noNaN: true }), (texts, fraction) => {
        const total = texts.join('').length;
        fc.pre(texts[0]!.length < (1 - fraction) * total);
        const { train, validation } = splitTail(texts, fraction, 'x');
        expect([...train, ...validation]).toEqual(texts);
        expect(train.length).toBeGreaterThan(0);
        expect(validation.join('').length).toBeGreaterThanOrEqual(fraction * total);
        // One document less would hold out too little.
        expect(validation.slice(1).join('').length).toBeLessThan(fraction * total);
      }),
      { seed: 2 },
    );
  });

  it('cuts a single document at the start of a line', () => {
    const lines = Array.from({ length: 100 }, (_, i) => `line ${i}\n`).join('');
    const { train, validation } = splitTail([lines], 0.1, 'x');
    expect(train[0]! + validation[0]!).toBe(lines);
    expect(train[0]!.endsWith('\n')).toBe(true);
    expect(validation[0]!.length / lines.length).toBeCloseTo(0.1, 1);
    expect(splitTail(['no line breaks here'], 0.5, 'x').train[0]).toHaveLength(9);
  });

  it('refuses text that is too short to be split', () => {
    expect(() => splitTail(['a'], 0.5, 'x')).toThrow(FormatError);
  });
});

describe('tokenStream', () => {
  it('puts the separator in front of each document', () => {
    expect([...tokenStream(['ab', 'c'], byteTokenizer())]).toEqual([256, 97, 98, 256, 99]);
  });

  it('puts a line break where there is no separator', () => {
    const stream = tokenStream(['ab', 'c'], byteTokenizer({ separator: false }));
    expect([...stream]).toEqual([10, 97, 98, 10, 99]);
    expect(stream).toBeInstanceOf(Uint16Array);
  });

  it('holds vocabularies above 16 bits and texts above its first size', () => {
    const long = 'x'.repeat(200_000);
    const tokenizer = { ...byteTokenizer(), vocabSize: 100_000, encode: (t: string) => Array(t.length).fill(70_000) };
    const stream = tokenStream([long, long], tokenizer);
    expect(stream).toHaveLength(400_002);
    expect(stream.at(-1)).toBe(70_000);
  });
});

describe('TokenDataset', () => {
  const options = { sequenceLength: 8, batchSize: 3, seed: 4 };

  it('cuts rows of consecutive tokens, one longer than the sequence', () => {
    const dataset = new TokenDataset(positions(100), positions(50), options);
    const { data, shape } = dataset.trainBatch(5);
    expect(shape).toEqual([3, 9]);
    for (let row = 0; row < 3; row++) {
      for (let i = 1; i < 9; i++) expect(data[row * 9 + i]).toBe(data[row * 9 + i - 1]! + 1);
    }
  });

  it('uses each window of the text once in an epoch, in an order of its own', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 10, max: 400 }),
        fc.integer({ min: 1, max: 9 }),
        fc.integer({ min: 1, max: 4 }),
        fc.integer(),
        (length, sequenceLength, batchSize, seed) => {
          const dataset = new TokenDataset(positions(length), positions(length), { sequenceLength, batchSize, seed });
          const perEpoch = dataset.windowsPerEpoch;
          const starts: number[] = [];
          while (starts.length < 2 * perEpoch) {
            const { data } = dataset.trainBatch(starts.length / batchSize);
            for (let row = 0; row < batchSize; row++) starts.push(data[row * (sequenceLength + 1)]!);
          }
          for (const epoch of [starts.slice(0, perEpoch), starts.slice(perEpoch, 2 * perEpoch)]) {
            const sorted = [...epoch].sort((a, b) => a - b);
            sorted.forEach((start, i) => {
              expect(start).toBe(sorted[0]! + i * sequenceLength);
            });
            expect(sorted.at(-1)! + sequenceLength).toBeLessThan(length);
          }
          expect(perEpoch).toBe(Math.floor((length - 1) / sequenceLength));
        },
      ),
      { seed: 8, numRuns: 100 },
    );
  });

  it('in sequential order takes the windows as they stand in the text, epoch after epoch', () => {
    const dataset = new TokenDataset(positions(45), positions(50), { ...options, order: 'sequential' });
    const starts = [0, 1, 2, 3].flatMap(index => {
      const { data } = dataset.trainBatch(index);
      return [0, 1, 2].map(row => data[row * 9]);
    });
    expect(dataset.windowsPerEpoch).toBe(5);
    expect(starts).toEqual([0, 8, 16, 24, 32, 0, 8, 16, 24, 32, 0, 8]);
    const make = (order: string) =>
      new TokenDataset(positions(45), positions(50), { ...options, order: order as never });
    expect(() => make('sorted')).toThrow(/order: expected one of random, sequential, found "?sorted/);
  });

  it('is a function of the batch number and the seed', () => {
    const make = (seed: number): TokenDataset => new TokenDataset(positions(1000), positions(50), { ...options, seed });
    const [first, second] = [make(4), make(4)];
    const ahead = first.trainBatch(77);
    for (let i = 0; i < 77; i++) second.trainBatch(i);
    expect(second.trainBatch(77)).toEqual(ahead);
    expect(make(5).trainBatch(77)).not.toEqual(ahead);
    const order = (epoch: number): number[] =>
      Array.from({ length: 20 }, (_, i) => first.trainBatch(epoch * 41 + i).data[0]!);
    expect(order(1)).not.toEqual(order(0));
  });

  it('validates on the same full batches, spread over the text', () => {
    const dataset = new TokenDataset(positions(100), positions(200), options);
    const batches = dataset.validationBatches(2);
    expect(batches.map(({ shape }) => shape)).toEqual([
      [3, 9],
      [3, 9],
    ]);
    expect(dataset.validationBatches(2)).toEqual(batches);
    const starts = batches.flatMap(({ data }) => [data[0], data[9], data[18]]);
    expect(starts).toEqual([0, 32, 64, 96, 128, 160]);
    expect(dataset.validationBatches()).toHaveLength(8);
    const short = new TokenDataset(positions(100), positions(20), options).validationBatches(5);
    expect(short.map(({ shape }) => shape)).toEqual([[2, 9]]);
  });

  it('tokenizes a corpus', () => {
    const corpus = { name: 'c', origin: 'o', train: ['hello world'], validation: ['good bye'] };
    const dataset = TokenDataset.fromCorpus(corpus, byteTokenizer(), { sequenceLength: 4, batchSize: 1 });
    expect(dataset.train).toHaveLength(12);
    expect([...dataset.validationBatches(1)[0]!.data]).toEqual([256, 103, 111, 111, 100]);
  });

  it.each([
    [{ sequenceLength: 0 }, /sequenceLength: expected a positive integer, found 0/],
    [{ batchSize: 2.5 }, /batchSize: expected a positive integer, found 2.5/],
    [{ seed: 0.1 }, /seed: expected an integer, found 0.1/],
  ])('refuses %j', (change, message) => {
    const make = (): TokenDataset => new TokenDataset(positions(100), positions(100), { ...options, ...change });
    expect(make).toThrow(ArgumentError);
    expect(make).toThrow(message);
  });

  it('refuses text shorter than a row, and batch numbers that are none', () => {
    const make = (): TokenDataset => new TokenDataset(positions(100), positions(8), options);
    expect(make).toThrow(DataError);
    expect(make).toThrow(/validation text: expected more than sequenceLength = 8, found "8 tokens"/);
    const dataset = new TokenDataset(positions(100), positions(9), options);
    for (const index of [-1, 0.5, Number.NaN]) expect(() => dataset.trainBatch(index)).toThrow(ArgumentError);
  });
});
