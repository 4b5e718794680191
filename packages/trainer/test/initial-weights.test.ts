import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../../tools/test-support/folders.js';
import { configBeside, withOwnTokenizer } from '../src/cli/open-inputs.js';
import type { TrainingRequest } from '../src/cli/train-command.js';

function modelFolder(...files: string[]): string {
  const folder = join(temporaryFolder(), 'model');
  mkdirSync(folder);
  for (const file of files) writeFileSync(join(folder, file), '{}');
  return folder;
}

const request = (weights?: string) => ({ weights, tokenizer: 'bytes' }) as unknown as TrainingRequest;

test('weights are trained with the tokenizer beside them unless another one is given', () => {
  const folder = modelFolder('config.json', 'tokenizer.json', 'model.safetensors');
  const file = join(folder, 'model.safetensors');
  expect(withOwnTokenizer(request(folder), new Set()).tokenizer).toBe(join(folder, 'tokenizer.json'));
  expect(withOwnTokenizer(request(file), new Set()).tokenizer).toBe(join(folder, 'tokenizer.json'));
  expect(withOwnTokenizer(request(folder), new Set(['tokenizer'])).tokenizer).toBe('bytes');
  expect(withOwnTokenizer(request(modelFolder()), new Set()).tokenizer).toBe('bytes');
  expect(withOwnTokenizer(request(), new Set()).tokenizer).toBe('bytes');
});

test('the configuration lies beside the weights', () => {
  const folder = modelFolder('config.json', 'model.safetensors');
  expect(configBeside(folder)).toBe(join(folder, 'config.json'));
  expect(configBeside(join(folder, 'model.safetensors'))).toBe(join(folder, 'config.json'));
  expect(() => configBeside(modelFolder())).toThrow(/without a config\.json\. .*--config/);
  expect(() => configBeside(join(folder, 'absent', 'weights'))).toThrow(/nothing at/);
});
