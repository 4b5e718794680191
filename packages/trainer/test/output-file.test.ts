import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { InvalidOptionError } from '@frugaljs/core';
import { expect, onTestFinished, test } from 'vitest';
import { smallDisk, temporaryFolder } from '../../../tools/test-support/folders.js';
import { EventLog, requireAllWritable, requireWritable, writeOutput } from '../src/cli/output-file.js';
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

const unexpected = (line: string): void => expect.fail(line);

test('a log is begun with the first event', () => {
  const folder = temporaryFolder();
  const file = join(folder, 'log.jsonl');
  new EventLog(file, unexpected).close();
  expect(existsSync(file)).toBe(false);
  writeFileSync(file, '{"event":"old"}\n');
  new EventLog(file, unexpected).close();
  const goingOn = new EventLog(file, unexpected, true);
  goingOn.write('step', { loss: 1 });
  goingOn.close();
  expect(readFileSync(file, 'utf8')).toBe('{"event":"old"}\n{"event":"step","loss":1}\n');
  const anew = new EventLog(file, unexpected);
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

test('an output is replaced at once by a whole one, where it is, with the permissions it had', async context => {
  if (process.platform === 'win32') {
    console.log('Skipped: permissions and links are others on Windows');
    return context.skip();
  }
  const folder = temporaryFolder();
  const at = (name: string): string => join(folder, name);
  await writeOutput('json', at('new'), 'new');
  writeFileSync(at('old'), 'longer than what comes');
  chmodSync(at('old'), 0o662);
  symlinkSync(at('old'), at('link'));
  const reader = openSync(at('old'), 'r');
  await writeOutput('json', at('link'), 'new');
  // Whoever was reading reads on in the old one.
  expect(readFileSync(reader, 'utf8')).toBe('longer than what comes');
  closeSync(reader);
  expect(readFileSync(at('old'), 'utf8')).toBe('new');
  expect(statSync(at('old')).mode & 0o777).toBe(0o662);
  expect(lstatSync(at('link')).isSymbolicLink()).toBe(true);
  expect(readdirSync(folder).sort()).toEqual(['link', 'new', 'old']);
  // A device is written to.
  await writeOutput('json', '/dev/null', 'new');
  expect(statSync('/dev/null').isFile()).toBe(false);
});

test('a log on a full disk is a notice, has whole lines, and goes on when there is room', context => {
  const disk = smallDisk('8k');
  if ('reason' in disk) return skip(context, disk.reason);
  const file = join(disk.folder, 'log.jsonl');
  writeFileSync(join(disk.folder, 'filler'), 'x'.repeat(4096));
  const notices: string[] = [];
  const log = new EventLog(file, line => notices.push(line));
  for (let step = 1; step <= 50; step++) log.write('step', { step, text: 'x'.repeat(150) });
  // A short event would fit in what is left of the last block, and the next long one would not.
  log.write('short', {});
  log.write('step', { step: 50, text: 'x'.repeat(150) });
  expect(notices).toEqual([
    expect.stringMatching(/^log: .*log\.jsonl cannot be written \(ENOSPC: .*\)\. The run goes on/),
  ]);
  const lines = (): { step: number }[] =>
    readFileSync(file, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map(line => JSON.parse(line));
  const held = lines().length;
  expect(lines().map(({ step }) => step)).toEqual(Array.from({ length: held }, (_, i) => i + 1));
  rmSync(join(disk.folder, 'filler'));
  log.write('step', { step: 51 });
  log.close();
  expect(lines().map(({ step }) => step)).toEqual([...Array.from({ length: held }, (_, i) => i + 1), 51]);
  expect(notices.slice(1)).toEqual([`log: ${file} is written again; ${52 - held} events are missing in it.`]);
});

test('a full disk under --log and --json keeps no run from being trained and saved', async context => {
  const disk = smallDisk('16k');
  if ('reason' in disk) return skip(context, disk.reason);
  const { folder, flags, remove } = smallRun();
  onTestFinished(remove);
  const on = (name: string): string => join(disk.folder, name);
  writeFileSync(on('filler'), 'x'.repeat(8192));
  writeFileSync(on('run.json'), 'old');
  const outputs = ['--log', on('run.jsonl'), '--json', on('run.json'), '--save', join(folder, 'run')];
  const { code, stdout, stderr } = await frugalHere('train', ...flags, '--steps', '120', '--sample', '0', ...outputs);
  expect(code).toBe(1);
  expect(stdout).toMatch(/^Validation loss .*\nSaved in .*step-000120\.\n$/);
  const lines = stderr.split('\n').filter(line => line.includes('ENOSPC'));
  expect(lines).toEqual([
    expect.stringMatching(/^log: .*run\.jsonl cannot be written/),
    expect.stringMatching(/^frugal: json: expected a file that can be written, found .*run\.json /),
  ]);
  expect(readFileSync(on('run.json'), 'utf8')).toBe('old');
  expect(readdirSync(disk.folder).sort()).toEqual(['filler', 'run.json', 'run.jsonl']);
  for (const line of readFileSync(on('run.jsonl'), 'utf8').split('\n').slice(0, -1)) JSON.parse(line);
});

test('a full disk under one output of a comparison keeps no other from being written', async context => {
  const disk = smallDisk('4k');
  if ('reason' in disk) return skip(context, disk.reason);
  const { folder, flags, remove } = smallRun();
  onTestFinished(remove);
  writeFileSync(join(disk.folder, 'filler'), 'x'.repeat(4096));
  const compare = (json: string, report: string) =>
    frugalHere('compare', ...flags, '--optimizers', 'adamW', '--steps', '2', '--json', json, '--report', report);
  const noJson = await compare(join(disk.folder, 'a.json'), join(folder, 'a.html'));
  const noReport = await compare(join(folder, 'b.json'), join(disk.folder, 'b.html'));
  expect([noJson.code, noReport.code]).toEqual([1, 1]);
  expect(noJson.stderr).toMatch(/^frugal: json: expected a file that can be written, .*ENOSPC.*$/m);
  expect(noJson.stdout).toMatch(/^Loss curves: .*a\.html$/m);
  expect(readFileSync(join(folder, 'a.html'), 'utf8')).toContain('</html>');
  expect(noReport.stderr).toMatch(/^frugal: report: expected a file that can be written, .*ENOSPC.*$/m);
  expect(noReport.stdout).not.toContain('Loss curves');
  expect(JSON.parse(readFileSync(join(folder, 'b.json'), 'utf8')).runs).toHaveLength(1);
  expect(readdirSync(disk.folder)).toEqual(['filler']);
});

function skip(context: { skip(): void }, reason: string): void {
  console.log(`Skipped: ${reason}`);
  context.skip();
}
