import type { SavedCheckpoint } from '@frugaljs/checkpoint';
import { type LlamaConfig, llamaConfig } from '@frugaljs/llama';
import { comparisonModel } from '../comparison/model.js';
import { openConfig } from './open-config.js';

/**
 * The model of a run: as `--config` says, else as the checkpoint does, else that of the comparison.
 *
 * @throws as `openConfig`; InvalidCheckpointError or ConfigError for a checkpoint whose `config.json` is no model.
 */
export async function modelOf(
  config: string | undefined,
  saved: SavedCheckpoint | null,
  vocabulary: number,
  length: number,
): Promise<LlamaConfig> {
  if (config !== undefined) return openConfig(config, vocabulary, length);
  const json = await saved?.config();
  if (json !== undefined && json !== null) return llamaConfig(json as never);
  return comparisonModel(vocabulary);
}

/** A configuration as Hugging Face's transformers reads it. */
export function huggingFaceConfig(config: LlamaConfig): object {
  return { architectures: ['LlamaForCausalLM'], torch_dtype: 'float32', ...config };
}
