import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { InvalidOptionError } from '@frugaljs/core';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryFolder } from '../../../tools/test-support/folders.js';
import { EventLog, requireAllWritable, requireWritable } from '../src/cli/output-file.js';
import { frugalHere, smallRun } from './support/command.js';

const refused = async (option: string, path: string): Promise<string> => {
  const error: unknown = await requireWritable(option, path).then(
    () => new Error('accepted'),
    reason => reason,
  );
  expect(error).toBeInstanceOf(InvalidOptionError);
  return (error as Error).message;
};

test('a file that can be written is neither made nor changed by making sure', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'old.json'), 'old');
  expect(await requireWritable('json', join(folder, 'old.json'))).toBe(join(folder, 'old.json'));
  expect(await requireWritable('json', join(folder, 'deep', 'new.json'))).toBe(join(folder, 'deep', 'new.json'));
  expect(readFileSync(join(folder, 'old.json'), 'utf8')).toBe('old');
  expect(readdirSync(join(folder, 'deep'))).toEqual([]);
});

test('what is no file, or in no folder, is refused by the name of its option', async () => {
  const folder = temporaryFolder();
  writeFileSync(join(folder, 'file'), '');
  mkdirSync(join(folder, 'folder'));
  expect(await refused('json', join(folder, 'folder'))).toMatch(/^json: expected a file .*folder \(it is a folder\)/);
  expect(await refused('log', join(folder, 'file', 'x'))).toMatch(/^log: expected a file that can be written, found /);
  expect(await refused('log', '')).toContain('an empty name');
});

test('a file system that takes no files or folders is refused, at once', async context => {
  if (process.platform !== 'linux') {
    console.log('Skipped: /proc exists on Linux only');
    return context.skip();
  }
  expect(await refused('json', '/proc/frugal.json')).toContain('/proc/frugal.json');
  expect(await refused('json', '/proc/frugal/run.json')).toContain('/proc, which takes no folders');
  const { folder, flags, remove } = smallRun();
  onTestFinished(remove);
  const run = await frugalHere('train', ...flags, '--save', '/proc/frugal', '--json', join(folder, 'run.json'));
  expect(run).toMatchObject({ code: 1, stdout: '' });
  expect(run.stderr).toMatch(/^frugal: \/proc\/frugal: expected a folder .*\/proc, which takes no folders.*\n$/);
});

test('two results do not go into one file', async () => {
  const folder = temporaryFolder();
  const file = join(folder, 'x');
  await expect(requireAllWritable({ json: file, log: join(folder, '.', 'x') })).rejects.toThrow(
    /^log: expected another file than --json/,
  );
  expect(await requireAllWritable({ json: file, log: undefined })).toEqual({ json: file, log: null });
});

test('a pipe is not opened to make sure, which would end it', async context => {
  if (process.platform === 'win32') {
    console.log('Skipped: no mkfifo on Windows');
    return context.skip();
  }
  const pipe = join(temporaryFolder(), 'pipe');
  execFileSync('mkfifo', [pipe]);
  expect(await requireWritable('log', pipe)).toBe(pipe);
});

test('a log is begun with the first event', () => {
  const folder = temporaryFolder();
  const file = join(folder, 'log.jsonl');
  new EventLog(file).close();
  expect(existsSync(file)).toBe(false);
  writeFileSync(file, '{"event":"old"}\n');
  new EventLog(file).close();
  const goingOn = new EventLog(file, true);
  goingOn.write('step', { loss: 1 });
  goingOn.close();
  expect(readFileSync(file, 'utf8')).toBe('{"event":"old"}\n{"event":"step","loss":1}\n');
  const anew = new EventLog(file);
  anew.write('step', { loss: 2 });
  anew.close();
  expect(readFileSync(file, 'utf8')).toBe('{"event":"step","loss":2}\n');
});

test('a run that fails before it starts leaves results of others as they were, and none of its own', async () => {
  const { folder, flags, remove } = smallRun();
  onTestFinished(remove);
  for (const name of ['old.json', 'old.jsonl', 'old.html']) writeFileSync(join(folder, name), 'old');
  const before = readdirSync(folder).sort();
  const outputs = (name: string): string[] => ['--json', join(folder, `${name}.json`)];
  for (const name of ['old', 'new']) {
    const train = await frugalHere(
      ...['train', ...flags, '--length', '65', ...outputs(name), '--log', join(folder, `${name}.jsonl`)],
    );
    const compared = await frugalHere(
      ...['compare', ...flags, '--length', '65', ...outputs(name), '--report', join(folder, `${name}.html`)],
    );
    for (const { code, stderr } of [train, compared]) {
      expect(code).toBe(1);
      expect(stderr).toMatch(/frugal: length: expected at most max_position_embeddings/);
    }
  }
  expect(readdirSync(folder).sort()).toEqual(before);
  for (const name of ['old.json', 'old.jsonl', 'old.html'])
    expect(readFileSync(join(folder, name), 'utf8')).toBe('old');
});
