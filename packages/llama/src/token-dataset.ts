import { slice, type Tensor2D, tensor2d } from '@tensorflow/tfjs-core';
import type { Corpus } from './corpus.js';
import { ArgumentError, DataError } from './errors.js';
import { permutedIndex, type RandomKey, randomKey, randomUniform } from './random.js';
import type { Tokenizer } from './tokenizer.js';

export interface DatasetOptions {
  /** Tokens a row predicts; a row holds one more. */
  readonly sequenceLength: number;
  /** Rows of a batch. */
  readonly batchSize: number;
  /** Seed of the order of the training rows (default 0). */
  readonly seed?: number;
  /**
   * `random` (default): the windows come in an order that is new in every epoch. `sequential`: as they stand in the text,
   * from its beginning, in every epoch.
   */
  readonly order?: 'random' | 'sequential';
}

const ORDERS: readonly NonNullable<DatasetOptions['order']>[] = ['random', 'sequential'];

/**
 * Batches of fixed shape `[batchSize, sequenceLength + 1]` over two token streams.
 *
 * Training rows are the windows of the stream in an order that is new in every epoch; an epoch uses each window once,
 * and starts its windows at another offset. In sequential order they come as they stand in the stream, from its beginning.
 * Which tokens a batch holds is a function of (seed, batch number): there is no position to save, and a resumed run asks
 * for the next number.
 */
export class TokenDataset {
  readonly train: TokenStream;
  readonly validation: TokenStream;
  readonly sequenceLength: number;
  readonly batchSize: number;
  /** Training windows of an epoch. */
  readonly windowsPerEpoch: number;
  readonly #seed: number;
  readonly #order: NonNullable<DatasetOptions['order']>;

  /**
   * @throws ArgumentError for sizes that are not positive integers, DataError for a stream shorter than one row.
   */
  constructor(train: TokenStream, validation: TokenStream, options: DatasetOptions) {
    const { sequenceLength, batchSize, seed = 0, order = 'random' } = options;
    for (const [parameter, found] of Object.entries({ sequenceLength, batchSize })) {
      if (!Number.isSafeInteger(found) || found < 1) {
        throw new ArgumentError({ parameter, found, expected: 'a positive integer' });
      }
    }
    if (!Number.isSafeInteger(seed)) {
      throw new ArgumentError({ parameter: 'seed', found: seed, expected: 'an integer' });
    }
    if (!ORDERS.includes(order)) {
      throw new ArgumentError({ parameter: 'order', found: order, expected: `one of ${ORDERS.join(', ')}` });
    }
    for (const [parameter, stream] of Object.entries({ train, validation })) {
      if (stream.length <= sequenceLength) {
        throw new DataError({
          parameter: `${parameter} text`,
          found: `${stream.length} tokens`,
          expected: `more than sequenceLength = ${sequenceLength}`,
          advice: 'Use more text or a shorter sequence.',
        });
      }
    }
    this.train = train;
    this.validation = validation;
    this.sequenceLength = sequenceLength;
    this.batchSize = batchSize;
    this.windowsPerEpoch = windows(train, sequenceLength);
    this.#seed = seed;
    this.#order = order;
  }

  /** Tokenizes a corpus. */
  static fromCorpus(corpus: Corpus, tokenizer: Tokenizer, options: DatasetOptions): TokenDataset {
    return new TokenDataset(tokenStream(corpus.train, tokenizer), tokenStream(corpus.validation, tokenizer), options);
  }

  /** The `index`-th training batch, counted from 0: a pure function. */
  trainBatch(index: number): TokenBatch {
    if (!Number.isSafeInteger(index) || index < 0) {
      throw new ArgumentError({ parameter: 'batch index', found: index, expected: 'an integer of at least 0' });
    }
    const slack = this.train.length - 1 - this.windowsPerEpoch * this.sequenceLength;
    return this.#batch(this.batchSize, row => {
      const sample = index * this.batchSize + row;
      if (this.#order === 'sequential') {
        return this.train.subarray((sample % this.windowsPerEpoch) * this.sequenceLength);
      }
      const epoch = Math.floor(sample / this.windowsPerEpoch);
      const key: RandomKey = randomKey(this.#seed, `epoch ${epoch}`);
      const window = permutedIndex(key, sample % this.windowsPerEpoch, this.windowsPerEpoch);
      const shift = Math.floor(randomUniform(key, -1) * (slack + 1));
      return this.train.subarray(shift + window * this.sequenceLength);
    });
  }

  /**
   * The same validation batches at every call: full rows spread evenly over the validation text.
   *
   * @param count At most so many batches (default: as many as the text fills). If it fills less than one batch, the
   *   single batch returned has fewer rows.
   */
  validationBatches(count: number = Number.POSITIVE_INFINITY): TokenBatch[] {
    const available = windows(this.validation, this.sequenceLength);
    const rows = Math.min(available, this.batchSize);
    const batches = Math.max(1, Math.min(count, Math.floor(available / this.batchSize)));
    return Array.from({ length: batches }, (_, batch) =>
      this.#batch(rows, row => {
        const window = Math.floor(((batch * rows + row) * available) / (batches * rows));
        return this.validation.subarray(window * this.sequenceLength);
      }),
    );
  }

  #batch(rows: number, from: (row: number) => TokenStream): TokenBatch {
    const length = this.sequenceLength + 1;
    const data = new Int32Array(rows * length);
    for (let row = 0; row < rows; row++) data.set(from(row).subarray(0, length), row * length);
    return { data, shape: [rows, length] };
  }
}

/** Rows of `length` predicted tokens, side by side, that a stream fills: each needs one token more to the right. */
function windows(stream: TokenStream, length: number): number {
  return Math.floor((stream.length - 1) / length);
}

/** Token ids in the smallest array that holds the vocabulary. */
export type TokenStream = Uint16Array | Int32Array;

/**
 * Documents as one stream of tokens, each with the tokenizer's separator in front, or with a line break where the
 * vocabulary has no separator.
 */
export function tokenStream(documents: Iterable<string>, tokenizer: Tokenizer): TokenStream {
  const start: ArrayLike<number> = tokenizer.separator === null ? tokenizer.encode('\n') : [tokenizer.separator];
  const Ids = tokenizer.vocabSize <= 0x10000 ? Uint16Array : Int32Array;
  let stream: TokenStream = new Ids(1 << 16);
  let length = 0;
  const append = (ids: ArrayLike<number>): void => {
    if (length + ids.length > stream.length) {
      const grown = new Ids(2 * (length + ids.length));
      grown.set(stream.subarray(0, length));
      stream = grown;
    }
    stream.set(ids, length);
    length += ids.length;
  };
  for (const document of documents) {
    append(start);
    append(tokenizer.encode(document));
  }
  return stream.slice(0, length);
}

/** A rectangle of token ids on the host: `data` holds `shape[0]` rows of `shape[1]` ids. */
export interface TokenBatch {
  readonly data: Int32Array;
  readonly shape: readonly [rows: number, length: number];
}

/** Token ids, `[batch, length]`: a host batch, nested arrays, or an int32 tensor (which stays the caller's). */
export type Tokens = TokenBatch | readonly (readonly number[])[] | Tensor2D;

/** Checks host tokens against the vocabulary and makes the int32 tensor. Tensors are not read back: only their shape and type are checked. */
export function tokenTensor(tokens: Tokens, vocabulary: number, parameter = 'tokens'): Tensor2D {
  if (isTensor(tokens)) {
    if (tokens.rank !== 2 || tokens.dtype !== 'int32') {
      throw new ArgumentError({
        parameter,
        found: `${tokens.dtype} [${(tokens as Tensor2D).shape}]`,
        expected: 'an int32 tensor [batch, length]',
      });
    }
    return tokens;
  }
  const { data, shape } = isBatch(tokens) ? tokens : flatten(tokens, parameter);
  if (data.length !== shape[0] * shape[1] || data.length === 0) {
    throw new ArgumentError({
      parameter,
      found: `${data.length} ids for [${shape}]`,
      expected: 'as many as the shape says',
    });
  }
  for (let i = 0; i < data.length; i++) {
    const id = data[i]!;
    if (!(id >= 0 && id < vocabulary)) {
      throw new ArgumentError({
        parameter: `${parameter}[${Math.floor(i / shape[1])}][${i % shape[1]}]`,
        found: id,
        expected: `a token id below vocab_size = ${vocabulary}`,
        advice: 'Is this the tokenizer the model was made for?',
      });
    }
  }
  return tensor2d(data, shape as [number, number], 'int32');
}

/** Every position but the last, and the token that follows each: `[b, t+1]` gives two `[b, t]`. */
export function shiftTokens(tokens: Tensor2D): { inputs: Tensor2D; targets: Tensor2D } {
  const length = tokens.shape[1] - 1;
  if (length < 1) {
    throw new ArgumentError({
      parameter: 'tokens',
      found: `length ${tokens.shape[1]}`,
      expected: 'two tokens or more a row: the last is only predicted',
    });
  }
  return { inputs: slice(tokens, [0, 0], [-1, length]), targets: slice(tokens, [0, 1], [-1, length]) };
}

function isTensor(tokens: Tokens): tokens is Tensor2D {
  return 'dataId' in tokens;
}

function isBatch(tokens: TokenBatch | readonly (readonly number[])[]): tokens is TokenBatch {
  return 'data' in tokens;
}

function flatten(rows: readonly (readonly number[])[], parameter: string): TokenBatch {
  const length = rows[0]?.length ?? 0;
  const uneven = rows.findIndex(row => row.length !== length);
  if (uneven >= 0) {
    throw new ArgumentError({
      parameter: `${parameter}[${uneven}]`,
      found: `${rows[uneven]!.length} ids`,
      expected: `${length} ids, as in the first row`,
    });
  }
  return { data: Int32Array.from(rows.flat()), shape: [rows.length, length] };
}
