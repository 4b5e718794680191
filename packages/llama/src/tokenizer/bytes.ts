import type { Tokenizer } from './tokenizer.js';

const BYTES = 256;

/**
 * The tokenizer without a vocabulary: a token is a byte of the text's UTF-8. `decode(encode(text))` is `text` for every
 * well-formed string (unpaired surrogates have no UTF-8 and become U+FFFD).
 *
 * @param options.separator Adds id 256 as a document separator (default true): vocabulary 257 instead of 256.
 */
export function byteTokenizer(options: { readonly separator?: boolean } = {}): Tokenizer {
  const { separator = true } = options;
  const encoder = new TextEncoder();
  // A byte order mark at the start of a text is three tokens like any other.
  const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
  return {
    kind: 'bytes',
    vocabSize: separator ? BYTES + 1 : BYTES,
    separator: separator ? BYTES : null,
    encode: text => encoder.encode(text),
    decode: ids => decoder.decode(bytesOf(ids)),
  };
}

function bytesOf(ids: ArrayLike<number>): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(ids.length);
  let count = 0;
  for (let i = 0; i < ids.length; i++) if (ids[i]! < BYTES) bytes[count++] = ids[i]!;
  return bytes.subarray(0, count);
}
