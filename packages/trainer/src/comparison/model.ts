import { type LlamaConfig, preset } from '@frugaljs/llama';

/**
 * The model of the default comparison: four layers, so that a quarter of them (BAdam's blocks) is one, and as wide as
 * three minutes allow.
 */
export function comparisonModel(vocabulary: number): LlamaConfig {
  return preset('llama_tiny', {
    vocab_size: vocabulary,
    hidden_size: 96,
    intermediate_size: 256,
    num_hidden_layers: 4,
  });
}
