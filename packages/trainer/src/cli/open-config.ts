import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidOptionError, UnknownNameError } from '@frugaljs/core';
import { type LlamaConfig, llamaConfig, preset, presetNames } from '@frugaljs/llama';
import { readText } from '@frugaljs/llama/node';

/**
 * The model configuration behind `--config`: the name of a preset, or a JSON file with the keys of Hugging Face's
 * `config.json`, or the folder of a model, which has one. A preset, and a file without `vocab_size`, take the size of the
 * vocabulary from the tokenizer.
 *
 * @param length Tokens of a row, which the model must have positions for.
 * @throws UnknownNameError if it is neither, InvalidOptionError or ConfigError if it makes no model for this tokenizer
 *   and length.
 */
export async function openConfig(name: string, vocabulary: number, length: number): Promise<LlamaConfig> {
  const config = await read(name, vocabulary);
  if (config.vocab_size < vocabulary) {
    throw new InvalidOptionError({
      parameter: 'config.vocab_size',
      found: config.vocab_size,
      expected: `at least ${vocabulary}, the number of tokens of the tokenizer`,
    });
  }
  if (config.max_position_embeddings < length) {
    throw new InvalidOptionError({
      parameter: 'length',
      found: length,
      expected: `at most max_position_embeddings = ${config.max_position_embeddings} of the model`,
    });
  }
  return config;
}

async function read(name: string, vocabulary: number): Promise<LlamaConfig> {
  const isPreset = presetNames.some(known => known === name || known === `llama_${name}`);
  if (isPreset) return preset(name, { vocab_size: vocabulary });
  const file = existsSync(name) && statSync(name).isDirectory() ? join(name, 'config.json') : name;
  if (!existsSync(file)) {
    throw new UnknownNameError({
      parameter: 'config',
      found: file === name ? name : `${name} without a config.json`,
      expected: `a JSON file, the folder of a model, or one of ${presetNames.join(', ')}`,
    });
  }
  let json: unknown;
  try {
    json = JSON.parse(await readText(file));
  } catch (error) {
    throw new InvalidOptionError({
      parameter: 'config',
      found: `${file} (${(error as Error).message})`,
      expected: 'a file with JSON',
    });
  }
  if (typeof json !== 'object' || json === null) return llamaConfig(json as never);
  return llamaConfig({ vocab_size: vocabulary, ...json });
}
