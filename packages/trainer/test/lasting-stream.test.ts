import { spawn, spawnSync } from 'node:child_process';
import { EventEmitter } from 'node:events';
import { closeSync, existsSync, openSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { LastingStream } from '../src/terminal/output.js';
import { shellWord } from '../src/terminal/text.js';
import { frugalProcess, smallRun } from './support/command.js';

const { folder, flags, remove } = smallRun();
afterAll(remove);
const at = (name: string): string => join(folder, name);

class Broken extends EventEmitter {
  readonly written: string[] = [];
  throws: Error | null = null;
  isTTY = true;
  columns = 33;

  write(text: string): void {
    if (this.throws !== null) throw this.throws;
    this.written.push(text);
  }
}

const failure = (code: string): Error => Object.assign(new Error(`write ${code}`), { code });

test('a stream that fails is not written to any more; a pipe that was closed is no failure', () => {
  for (const [code, shown] of [
    ['EPIPE', null],
    ['ENOSPC', 'write ENOSPC'],
  ] as const) {
    const later = new Broken();
    const stream = new LastingStream(later);
    stream.write('a');
    later.emit('error', failure(code));
    stream.write('b');
    expect(later.written).toEqual(['a']);
    expect(stream.failure?.message ?? null).toBe(shown);

    const atOnce = new Broken();
    const other = new LastingStream(atOnce);
    atOnce.throws = failure(code);
    other.write('a');
    atOnce.throws = null;
    other.write('b');
    expect(atOnce.written).toEqual([]);
    expect(other.failure?.message ?? null).toBe(shown);
  }
});

test('what the terminal says of itself is passed on as it changes', () => {
  const terminal = new Broken();
  const stream = new LastingStream(terminal);
  expect([stream.isTTY, stream.columns]).toEqual([true, 33]);
  terminal.columns = 44;
  expect(stream.columns).toBe(44);
});

test('a reader that leaves does not end a run, nor keep its results from being written', async () => {
  const args = ['train', ...flags, '--steps', '30', '--save', at('left'), '--json', at('left.json'), '--sample', '0'];
  const { command, env } = frugalProcess(args);
  const child = spawn(command[0]!, command.slice(1), { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
  child.stdout.destroy();
  child.stderr.once('data', () => child.stderr.destroy());
  const code = await new Promise(resolve => child.on('close', resolve));
  expect(code).toBe(0);
  expect(readdirSync(at('left'))).toContain('step-000030');
  expect(JSON.parse(readFileSync(at('left.json'), 'utf8')).losses).toHaveLength(30);
});

test('a result that cannot be written to standard output is told of in a line', async context => {
  if (!existsSync('/dev/full')) {
    console.log('Skipped: no /dev/full here');
    return context.skip();
  }
  for (const args of [['list'], ['train', ...flags, '--steps', '2', '--json', at('full.json'), '--no-save']]) {
    const full = openSync('/dev/full', 'w');
    const { command, env } = frugalProcess(args);
    const child = spawn(command[0]!, command.slice(1), { cwd: folder, env, stdio: ['ignore', full, 'pipe'] });
    closeSync(full);
    let stderr = '';
    child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    const code = await new Promise(resolve => child.on('close', resolve));
    expect(code).toBe(1);
    expect(stderr).toMatch(/^frugal: standard output: the result could not be written \(ENOSPC.*\)\n$/m);
    expect(stderr).not.toMatch(/\n {4}at /);
  }
  expect(statSync(at('full.json')).size).toBeGreaterThan(100);
});

/** Of util-linux: makes a terminal for a command, and closes it when it ends. */
const TERMINAL = 'script';

test('a terminal that is closed ends the run, saved, as the signal says', async context => {
  if (spawnSync(TERMINAL, ['--version']).status !== 0) {
    console.log('Skipped: no `script` of util-linux here');
    return context.skip();
  }
  const { command, env } = frugalProcess(['train', ...flags, '--steps', '100000', '--save', at('hung-up')]);
  // The first shell dies with its terminal, at which the others are told. The second one, which notes the exit code, takes
  // no notice; Node does not inherit that.
  const line = `(trap '' HUP; ${command.map(shellWord).join(' ')}; echo $? > code); true`;
  const terminal = spawn(TERMINAL, ['-qec', line, '/dev/null'], {
    cwd: folder,
    env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let shown = '';
  terminal.stdout.setEncoding('utf8').on('data', (text: string) => {
    shown += text;
    if (/\b[1-9]\d*\/100000/.test(shown)) terminal.kill('SIGKILL');
  });
  await vi.waitFor(() => expect(readFileSync(at('code'), 'utf8')).toBe('129\n'), { timeout: 30_000, interval: 50 });
  expect(readdirSync(at('hung-up'))).toEqual([expect.stringMatching(/^step-\d{6}$/)]);
}, 60_000);
