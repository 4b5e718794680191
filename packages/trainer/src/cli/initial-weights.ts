import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UnknownNameError } from '@frugaljs/core';
import type { TrainingRequest } from './training-request.js';

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
