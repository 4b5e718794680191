import type { Tokenizer } from '../tokenizer/tokenizer.js';

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
