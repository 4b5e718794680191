import { basename } from 'node:path';
import { InvalidOptionError } from '@frugaljs/core';
import { type LlamaConfig, TokenDataset, type Tokenizer, tokenStream } from '@frugaljs/llama';
import { openCorpus, openTokenizer } from '@frugaljs/llama/node';

export interface OpenedData {
  readonly dataset: TokenDataset;
  readonly tokenizer: Tokenizer;
  /** The name of the text, or of its file; another one than asked for if that could not be had. */
  readonly name: string;
  /** Where the text came from. */
  readonly origin: string;
}

/** Milliseconds: half a minute is enough for a megabyte, and little to wait for a network that is not there. */
const DOWNLOAD_TIMEOUT = 30_000;

/**
 * Opens text and tokenizer and makes batches of them.
 *
 * @throws InvalidOptionError if the text is shorter than a row, and as `openTokenizer` and `openCorpus`.
 * @param log Told in one line if other text than asked for is used.
 */
export async function openData(options: {
  readonly data: string;
  readonly tokenizer: string;
  readonly batch: number;
  readonly length: number;
  readonly seed: number;
  /** Never fetch a text; without one, the text of the installed packages is used. */
  readonly offline?: boolean;
  readonly log: (line: string) => void;
}): Promise<OpenedData> {
  const { data, batch, length, seed, offline = false, log } = options;
  const tokenizer = await openTokenizer(options.tokenizer);
  const corpus = await openCorpus(data, { log, download: !offline, timeout: DOWNLOAD_TIMEOUT });
  const [train, validation] = [tokenStream(corpus.train, tokenizer), tokenStream(corpus.validation, tokenizer)];
  if (Math.min(train.length, validation.length) <= length) {
    throw new InvalidOptionError({
      parameter: 'length',
      found: `${length}, and a text of ${train.length} tokens to train on and ${validation.length} held out`,
      expected: 'fewer tokens in a row than either part of the text has',
      advice: 'Use more text, or a smaller --length.',
    });
  }
  const dataset = new TokenDataset(train, validation, { sequenceLength: length, batchSize: batch, seed });
  return { dataset, tokenizer, name: basename(corpus.name), origin: corpus.origin };
}

/** A model in a few words: `4 layers of width 96, 4 heads`. */
export function describeModel({ num_hidden_layers, hidden_size, num_attention_heads }: LlamaConfig): string {
  const layers = num_hidden_layers === 1 ? '1 layer' : `${num_hidden_layers} layers`;
  return `${layers} of width ${hidden_size}, ${num_attention_heads} heads`;
}
