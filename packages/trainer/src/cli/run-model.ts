import type { SavedCheckpoint } from '@frugaljs/checkpoint';
import { type LlamaConfig, llamaConfig } from '@frugaljs/llama';
import { comparisonModel } from '../comparison/model.js';
import { configBeside } from './initial-weights.js';
import { openConfig } from './open-config.js';
import type { TrainingRequest } from './training-request.js';

/**
 * The model of a run: as `--config` says, else as the checkpoint or the weights to start from do, else that of the
 * comparison.
 *
 * @throws as `openConfig`; InvalidCheckpointError or ConfigError for a checkpoint whose `config.json` is no model.
 */
export async function modelOf(
  { config, weights }: Pick<TrainingRequest, 'config' | 'weights'>,
  saved: SavedCheckpoint | null,
  vocabulary: number,
  length: number,
): Promise<LlamaConfig> {
  if (config !== undefined) return openConfig(config, vocabulary, length);
  const json = await saved?.config();
  if (json !== undefined && json !== null) return llamaConfig(json as never);
  if (weights !== undefined) return openConfig(configBeside(weights), vocabulary, length);
  return comparisonModel(vocabulary);
}
