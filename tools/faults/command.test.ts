import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { frugal } from './command.js';

const folder = mkdtempSync(path.join(tmpdir(), 'frugal-command-'));
const text = path.join(folder, 'text.txt');
writeFileSync(text, 'to be or not to be, that is the question\n'.repeat(400));
const config = path.join(folder, 'config.json');
writeFileSync(
  config,
  JSON.stringify({
    vocab_size: 257,
    hidden_size: 8,
    intermediate_size: 16,
    num_hidden_layers: 1,
    num_attention_heads: 1,
  }),
);
const SMALL = ['train', '--data', text, '--tokenizer', 'bytes', '--config', config, '--steps', '2'];

afterAll(() => rmSync(folder, { recursive: true, force: true }));

it.skipIf(!existsSync('/dev/full'))('a log on a full disk is a notice, and training goes on', () => {
  const { status, stderr } = frugal([...SMALL, '--log', '/dev/full'], folder);
  expect({ status, stderr }).toMatchObject({ status: 0, stderr: expect.stringContaining('/dev/full') });
});
