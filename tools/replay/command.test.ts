import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BACKEND_NAMES, command, PORTABLE_BACKENDS, whyMissing } from './command.js';
import { simulated } from './simulated.js';

const ROOT = resolve(fileURLToPath(new URL('../..', import.meta.url)));

async function run(...args: string[]): Promise<{ code: number; lines: string[] }> {
  const lines: string[] = [];
  const code = await command(args, line => lines.push(line));
  return { code, lines };
}

describe('the command', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'replay-'));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  /** A file with one sound case and, if asked for, one that asks for the impossible. */
  const file = (name: string, broken: boolean): string => {
    const trajectory = { ...simulated('FRUGAL BlockLion', { lr: 0.01 }, 'small '), name: 'simulated' };
    const cases = broken ? [{ ...trajectory, config: { lr: -1 } }, trajectory] : [trajectory];
    const path = join(folder, name);
    writeFileSync(path, JSON.stringify({ format: 'optimizer-trajectories/1', layout: 'row-major', cases }));
    return path;
  };

  test('reports every case and closes with the counts alone on a line', async () => {
    const { code, lines } = await run(file('sound.json', false), '--backend', 'wasm');
    expect(lines[0]).toMatch(/sound\.json on wasm, kernels: auto$/);
    expect(lines[1]).toMatch(/^error: \|ours - official\|.*at most 1e-5 passes$/);
    expect(lines.at(-2)).toBe('');
    expect(lines.at(-1)).toBe('1 passed, 0 failed');
    expect(code).toBe(0);
  });

  test('a case that fails is named with its reason, the others are still replayed', async () => {
    const { code, lines } = await run(file('mixed.json', true));
    expect(lines).toContainEqual(expect.stringMatching(/^FAIL simulated \(FRUGAL BlockLion\): .*config\.lr: expected/));
    expect(lines).toContainEqual(expect.stringMatching(/^ok {3}simulated \(FRUGAL BlockLion\): /));
    expect(lines.at(-1)).toBe('1 passed, 1 failed');
    expect(code).toBe(1);
  });

  test.each([
    [[], /expected one file, found 0/],
    [['nowhere.json'], /nowhere\.json/],
    [['a.json', '--backend', 'webgl'], /--backend: expected cpu or wasm or webgpu or tensorflow, found webgl/],
    [['a.json', '--kernels', 'none'], /--kernels: expected auto or reference, found none/],
    [['a.json', '--fast'], /--fast/],
  ])('%j is refused with the usage', async (args, message) => {
    const { code, lines } = await run(...args);
    expect(lines.join('\n')).toMatch(message);
    expect(lines.join('\n')).toMatch(/npm run replay -- FILE/);
    expect(code).toBe(1);
  });

  test('npm run replay: exit code and last line', () => {
    const replay = (path: string): { status: number | null; stdout: string } =>
      spawnSync('npm', ['run', '--silent', 'replay', '--', path], { cwd: ROOT, encoding: 'utf8' });
    const sound = replay(file('sound.json', false));
    expect([sound.status, sound.stdout.trimEnd().split('\n').at(-1)]).toEqual([0, '1 passed, 0 failed']);
    expect(replay(file('mixed.json', true)).status).toBe(1);
  });
});

const REFERENCE = process.env['FRUGAL_REFERENCE'] ?? join(ROOT, '..', 'shared', 'reference');

async function agree(file: string, ...args: string[]): Promise<void> {
  const { code, lines } = await run(join(REFERENCE, file), ...args);
  expect(lines.filter(line => line.startsWith('FAIL'))).toEqual([]);
  expect(lines.at(-1)).toMatch(/^[1-9]\d* passed, 0 failed$/);
  expect(code).toBe(0);
}

describe.each(['trajectories.json', 'relatives.json'])('the official code in %s', file => {
  const present = existsSync(join(REFERENCE, file));
  if (!present) {
    console.log(`Runs of the official code are not here: set FRUGAL_REFERENCE to the folder of ${file}.`);
  }

  test
    .skipIf(!present)
    .each(PORTABLE_BACKENDS.flatMap(backend => ['auto', 'reference'].map(kernels => [backend, kernels])))(
    'agrees on %s with kernels %s',
    async (backend, kernels) => {
      for (const more of [[], ['--recorded-bases']]) {
        await agree(file, '--backend', backend!, '--kernels', kernels!, ...more);
      }
    },
  );

  const driven = BACKEND_NAMES.filter(name => !PORTABLE_BACKENDS.includes(name));
  test.skipIf(!present).for(driven)(
    'agrees on %s, where there is a driver',
    { timeout: 300_000 },
    async (backend, context) => {
      const missing = await whyMissing(backend);
      if (missing !== null) {
        console.log(`replays on ${backend} are skipped: ${missing}`);
        context.skip(missing);
      }
      await agree(file, '--backend', backend);
    },
  );
});
