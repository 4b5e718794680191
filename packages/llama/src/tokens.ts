import { slice, type Tensor2D, tensor2d } from '@tensorflow/tfjs-core';
import { ArgumentError } from './errors.js';

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
