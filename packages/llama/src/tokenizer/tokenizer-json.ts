import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { FormatError } from '../errors.js';
import type { Tokenizer } from './tokenizer.js';

/** What common vocabularies call the token between documents, most specific first. */
const SEPARATORS = ['<|endoftext|>', '<|end_of_text|>', '</s>', '<|eos|>', '<eos>', '[EOS]'];

/**
 * A Hugging Face `tokenizer.json`, run by `@huggingface/tokenizers`.
 *
 * The separator is `eos_token` of the tokenizer configuration, else the first of the usual end-of-text tokens that the
 * vocabulary has, else null.
 *
 * @param json The parsed `tokenizer.json`.
 * @param config The parsed `tokenizer_config.json` beside it, if there is one.
 * @throws FormatError if it is not a tokenizer that library can run.
 */
export function jsonTokenizer(json: object, config: Readonly<Record<string, unknown>> = {}): Tokenizer {
  const model = (json as { model?: unknown }).model;
  if (typeof model !== 'object' || model === null) {
    throw new FormatError({
      parameter: 'tokenizer.json',
      found: Object.keys(json),
      expected: 'an object with the key "model"',
      advice: 'vocab.json and tokenizer_config.json are other files of the same folder.',
    });
  }
  let tokenizer: HuggingFaceTokenizer;
  try {
    tokenizer = new HuggingFaceTokenizer(json, config);
  } catch (error) {
    throw new FormatError({
      parameter: 'tokenizer.json',
      found: (error as Error).message,
      expected: 'a tokenizer that @huggingface/tokenizers can run',
    });
  }
  let largest = -1;
  for (const id of tokenizer.get_vocab(true).values()) largest = Math.max(largest, id);

  const named = config['eos_token'] as string | { content?: string } | null | undefined;
  const endToken = typeof named === 'string' ? named : named?.content;
  const candidates = endToken === undefined ? SEPARATORS : [endToken, ...SEPARATORS];
  const separator = candidates.map(token => tokenizer.token_to_id(token)).find(id => id !== undefined) ?? null;
  return {
    kind: 'tokenizer.json',
    vocabSize: largest + 1,
    separator,
    encode: text => tokenizer.encode(text, { add_special_tokens: false }).ids,
    decode: ids => {
      const text = Array.from(ids).filter(id => id !== separator);
      if (text.length === 0) return '';
      return tokenizer.decode(text, { skip_special_tokens: true, clean_up_tokenization_spaces: false });
    },
  };
}
