import { InvalidOptionError } from '@frugaljs/core';
import { type LlamaConfig, preset, presetNames } from '@frugaljs/llama';
import { openConfig } from '../cli/open-config.js';

/**
 * The configuration of a model to plan. A preset has a vocabulary of its own unless another one is asked for: no
 * tokenizer takes part.
 *
 * @throws as `openConfig`; InvalidOptionError also for a file that does not say how large the vocabulary is.
 */
export async function openPlannedConfig(name: string, length: number, vocabulary?: number): Promise<LlamaConfig> {
  const isPreset = presetNames.some(known => known === name || known === `llama_${name}`);
  const config = await openConfig(name, isPreset ? preset(name).vocab_size : 1, length);
  if (vocabulary !== undefined) return { ...config, vocab_size: vocabulary };
  if (config.vocab_size === 1) {
    throw new InvalidOptionError({
      parameter: 'vocab',
      found: `none, and none in ${name}`,
      expected: 'the size of the vocabulary',
      advice: 'Give --vocab, or vocab_size in the file.',
    });
  }
  return config;
}
