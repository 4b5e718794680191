import type { LlamaConfigInput } from '../src/index.js';

/** A model that a finite difference can look at: grouped queries, an odd vocabulary, head dimension 4. */
export const TINY: LlamaConfigInput = {
  vocab_size: 11,
  hidden_size: 16,
  intermediate_size: 20,
  num_hidden_layers: 2,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 16,
  // Large weights, so that every path carries gradients well above rounding.
  initializer_range: 0.3,
};

export const ROWS: readonly (readonly number[])[] = [
  [1, 2, 3, 2, 5, 10, 0],
  [7, 7, 4, 9, 1, 2, 3],
];
