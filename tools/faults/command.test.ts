import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { jsonTokenizer } from '@frugaljs/llama';
import { afterAll, expect, it } from 'vitest';
import { FRUGAL, frugal } from './command.js';

const folder = mkdtempSync(path.join(tmpdir(), 'frugal-command-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const file = (name: string, content: string | Uint8Array): string => {
  const at = path.join(folder, name);
  writeFileSync(at, content);
  return at;
};
const SIZES = {
  vocab_size: 257,
  hidden_size: 8,
  intermediate_size: 16,
  num_hidden_layers: 1,
  num_attention_heads: 1,
};
const config = (name: string, changes: object): string[] => [
  '--config',
  file(name, JSON.stringify({ ...SIZES, ...changes })),
];
const small = config('config.json', {});
const text = file('text.txt', 'to be or not to be, that is the question\n'.repeat(400));
const data = ['--data', text, '--tokenizer', 'bytes'];
const steps = ['--steps', '2'];

it.skipIf(!existsSync('/dev/full'))('a log on a full disk is a notice, and training goes on', () => {
  const { status, stderr } = frugal(['train', ...data, ...small, ...steps, '--log', '/dev/full'], folder);
  expect({ status, stderr }).toMatchObject({ status: 0, stderr: expect.stringContaining('/dev/full') });
});

it.skipIf(process.platform === 'win32')('a closed terminal ends a run saved, as SIGTERM does', async () => {
  const log = path.join(folder, 'hung-up.jsonl');
  const args = ['train', ...data, ...small, '--steps', '1000000', '--save', 'hung-up', '--log', log];
  const child = spawn(process.execPath, [...FRUGAL, ...args], { cwd: folder, stdio: 'ignore' });
  const ended = new Promise(resolve => child.on('exit', (code, signal) => resolve(code ?? signal)));
  const watch = setInterval(() => {
    if (!existsSync(log) || readFileSync(log, 'utf8').split('\n').length < 5) return;
    // A second one would leave at once.
    clearInterval(watch);
    child.kill('SIGHUP');
  }, 50);
  try {
    expect(await ended).toBe(129);
  } finally {
    clearInterval(watch);
    child.kill('SIGKILL');
  }
  expect(readdirSync(path.join(folder, 'hung-up'))).toEqual([expect.stringMatching(/^step-\d+$/)]);
});

it.each([1e6, 1e9])('a model of %d layers is refused by the name of the key, before it is built', layers => {
  const began = performance.now();
  const deep = config(`deep-${layers}.json`, { num_hidden_layers: layers });
  const { status, stderr } = frugal(['train', ...data, ...deep, ...steps], folder, 10);
  expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringContaining('num_hidden_layers') });
  expect(performance.now() - began).toBeLessThan(10_000);
});

it('a key of a megabyte in a config.json is passed over like any other', () => {
  const long = config('long-key.json', { ['k'.repeat(2 ** 20)]: 1 });
  const { error, status } = frugal(['train', ...data, ...long, ...steps], folder, 10);
  expect(error).toBeUndefined();
  expect(typeof status).toBe('number');
});

it.skipIf(!existsSync('/dev/zero'))('a text without an end is refused', () => {
  const args = ['train', '--data', '/dev/zero', '--tokenizer', 'bytes', ...small, ...steps];
  const { status, stderr } = frugal(args, folder, 20);
  expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringContaining('/dev/zero') });
});

it('a gzip that inflates without bound is refused by name', () => {
  const bomb = file('bomb.txt.gz', gzipSync(Buffer.alloc(2 ** 30), { level: 9 }));
  const args = ['train', '--data', bomb, '--tokenizer', 'bytes', ...small, ...steps];
  const { status, stderr } = frugal(args, folder, 30);
  expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringMatching(/^frugal: .*bomb\.txt\.gz/m) });
});

it('a prompt cannot command the terminal', () => {
  const hostile = '\u001b]0;title\u0007';
  const args = ['train', ...data, ...small, '--steps', '1', '--no-save', '--prompt', hostile];
  const { status, stdout } = frugal(args, folder);
  expect(status).toBe(0);
  expect(stdout).toContain('title');
  expect(stdout).not.toMatch(/(?![\n\t])\p{Cc}/u);
});

it('what is no tokenizer.json is refused as such', () => {
  let found: unknown = null;
  try {
    jsonTokenizer(null as never);
  } catch (error) {
    found = error;
  }
  expect(found).not.toBeInstanceOf(TypeError);
  expect(found).toBeInstanceOf(Error);
});
