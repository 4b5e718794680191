import { InvalidOptionError } from '@frugaljs/core';
import { byteTokenizer, documentFormat, LlamaError, parseDocuments, splitTail, TokenDataset } from '@frugaljs/llama';
import type { OwnText, RunSettings } from '../protocol.js';
import { tales } from './tales.js';

/** Characters of built-in text. */
const BUILT_IN = 200_000;
const VALIDATION_SHARE = 0.1;

/** The tokens of the pages' texts are bytes: any text will do, and no vocabulary has to be loaded. */
export const TOKENIZER: ReturnType<typeof byteTokenizer> = byteTokenizer();

/**
 * Batches of a text, or of the built-in one.
 *
 * @throws InvalidOptionError for a text that is none or too short, naming the parameter `text`.
 */
export function openDataset(text: OwnText | null, run: RunSettings): TokenDataset {
  const { batchSize, sequenceLength, seed } = run;
  try {
    const documents =
      text === null ? tales(BUILT_IN) : parseDocuments(text.content, documentFormat(text.name), text.name);
    const parts = splitTail(documents, VALIDATION_SHARE, text?.name ?? 'tales');
    const corpus = { name: text?.name ?? 'tales', origin: text === null ? 'built in' : 'a file', ...parts };
    return TokenDataset.fromCorpus(corpus, TOKENIZER, { batchSize, sequenceLength, seed });
  } catch (error) {
    if (!(error instanceof LlamaError)) throw error;
    throw new InvalidOptionError({
      parameter: 'text',
      found: text?.name ?? 'the built-in text',
      expected: 'text enough for training and validation',
      advice: error.message,
    });
  }
}
