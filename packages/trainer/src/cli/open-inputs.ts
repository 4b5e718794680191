import { existsSync, readdirSync, statSync } from 'node:fs';
import { totalmem } from 'node:os';
import { basename, dirname, join } from 'node:path';
import type { SavedCheckpoint } from '@frugaljs/checkpoint';
import { InvalidOptionError, OutOfMemoryError, UnknownNameError } from '@frugaljs/core';
import {
  type LlamaConfig,
  llamaConfig,
  parameterCount,
  preset,
  presetNames,
  TokenDataset,
  type Tokenizer,
  tokenStream,
} from '@frugaljs/llama';
import { openCorpus, openTokenizer, readText } from '@frugaljs/llama/node';
import { backendLimits } from '../backend.js';
import { comparisonModel } from '../comparison/compare.js';
import { formatBinaryBytes } from '../terminal/text.js';
import type { TrainingRequest } from './train-command.js';

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
  const config = await readConfig(name, vocabulary);
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

/** Whether a name is that of a preset; `1b` is short for `llama_1b`. */
export function isPreset(name: string): boolean {
  return presetNames.some(known => known === name || known === `llama_${name}`);
}

async function readConfig(name: string, vocabulary: number): Promise<LlamaConfig> {
  if (isPreset(name)) return preset(name, { vocab_size: vocabulary });
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

/**
 * Refuses a model whose weights alone are more than there is, before any of them is made: it would take minutes to find
 * out, or the machine would end the process.
 *
 * @throws OutOfMemoryError
 */
export function requireRoomForWeights(config: LlamaConfig, backend: string): void {
  const bytes = 4 * parameterCount(config).total;
  const { totalBytes, total } = backendLimits(backend);
  // A GPU has a memory of its own, of unknown size.
  const machine = backend === 'webgpu' ? null : Math.min(totalmem(), process.constrainedMemory() || totalmem());
  const limit = totalBytes ?? machine;
  if (limit === null || bytes <= limit) return;
  const { vocab_size, hidden_size, intermediate_size, num_hidden_layers } = config;
  const sizes = Object.entries({ vocab_size, hidden_size, intermediate_size, num_hidden_layers });
  throw new OutOfMemoryError(totalBytes === null ? 'host' : 'wasm-heap', {
    parameter: `memory of the ${backend} backend`,
    found: `weights of ${formatBinaryBytes(bytes)} (${sizes.map(([key, size]) => `${key} ${size}`).join(', ')})`,
    expected: `a model whose weights fit into ${formatBinaryBytes(limit)} (${totalBytes === null ? 'the memory of this machine' : total})`,
    advice: 'Take a smaller model; `frugal memory` says what else training takes.',
  });
}

/** The `config.json` of the weights that `--weights` names. */
export function configBeside(weights: string): string {
  const file = join(folderOf(weights), 'config.json');
  if (existsSync(file)) return file;
  throw new UnknownNameError({
    parameter: 'weights',
    found: existsSync(weights) ? `${weights} without a config.json` : `nothing at ${weights}`,
    expected: 'a folder with config.json and model.safetensors, or a checkpoint',
    advice: 'If the configuration lies elsewhere, name it with --config.',
  });
}

/** Whether a path is a folder of a model with its weights. */
export function isModelFolder(path: string): boolean {
  if (!existsSync(path) || !statSync(path).isDirectory()) return false;
  const files = readdirSync(path);
  return files.includes('config.json') && files.some(name => name.endsWith('.safetensors'));
}

/** Weights of a folder with a tokenizer are trained with that one unless another one is given. */
export function withOwnTokenizer(request: TrainingRequest, given: ReadonlySet<string>): TrainingRequest {
  if (request.weights === undefined || given.has('tokenizer')) return request;
  const tokenizer = join(folderOf(request.weights), 'tokenizer.json');
  return existsSync(tokenizer) ? { ...request, tokenizer } : request;
}

function folderOf(weights: string): string {
  return existsSync(weights) && statSync(weights).isDirectory() ? weights : dirname(weights);
}
