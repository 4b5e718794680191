import { byteTokenizer, type LlamaConfig, llamaConfig, TokenDataset } from '@frugaljs/llama';

/** A model that makes a step in about a millisecond. */
export const TINY: LlamaConfig = llamaConfig({
  vocab_size: 257,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 4,
  num_attention_heads: 2,
  max_position_embeddings: 64,
});

/** Text with some regularity to learn: counted lines of a few words, the same at every call. */
export function lines(count: number): string {
  const words = ['ember', 'river', 'stone', 'cloud', 'maple', 'frost', 'wheat', 'otter'];
  return Array.from({ length: count }, (_, i) => {
    const first = words[(i * 5 + (i >> 3)) % words.length];
    const second = words[(i * 3 + (i >> 2)) % words.length];
    return `line ${i}: the ${first} and the ${second} of the valley\n`;
  }).join('');
}

export function tinyData(batchSize = 4, sequenceLength = 16): TokenDataset {
  const corpus = { name: 'lines', origin: 'test', train: [lines(400)], validation: [lines(60)] };
  return TokenDataset.fromCorpus(corpus, byteTokenizer(), { batchSize, sequenceLength, seed: 3 });
}
