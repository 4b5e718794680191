import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { frugal } from './command.js';

const folder = mkdtempSync(path.join(tmpdir(), 'frugal-warm-up-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('the first update of `frugal train` can move the weights', { timeout: 120_000 }, () => {
  writeFileSync(path.join(folder, 'text.txt'), 'the river runs to the sea\n'.repeat(400));
  const model = { hidden_size: 8, intermediate_size: 8, num_attention_heads: 1, num_hidden_layers: 1 };
  writeFileSync(path.join(folder, 'config.json'), JSON.stringify(model));
  const small = ['--data', 'text.txt', '--config', 'config.json', '--length', '16', '--batch', '1', '--sample', '0'];
  const above = ['--steps', '4', '--warmup', '2', '--warmup-start', 'step', '--log', 'log.jsonl', '--lr', '1'];
  const { status, stderr } = frugal(['train', '--optimizer', 'sgd', '--no-save', ...small, ...above], folder, 100);
  expect({ status, stderr }).toMatchObject({ status: 0 });
  const log = readFileSync(path.join(folder, 'log.jsonl'), 'utf8').trim().split('\n');
  const steps = log.map(line => JSON.parse(line)).filter(({ event }) => event === 'step');
  expect(steps.slice(0, 2).map(({ learningRate }) => learningRate)).toEqual([0.5, 1]);
});
