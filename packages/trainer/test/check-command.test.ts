import { readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { frugal, frugalHere } from './support/command.js';

const fixtures = fileURLToPath(new URL('fixtures', import.meta.url));
const check = (...args: string[]) => frugal(['check', ...args], { cwd: fixtures });

test('a rule that keeps all laws is told so, in any backend and with any seed', async () => {
  const json = join(tmpdir(), `frugal-check-${process.pid}.json`);
  const { code, stdout, stderr } = await check(
    ...['lawful-rule.ts', '--backend', 'cpu', '--seed', '7', '--runs', '5', '--json', json],
  );
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  expect(stdout).toMatch(/^softSign on cpu, seed 7: all laws hold\n/);
  expect(stdout).toMatch(/^ {2}ok {4}.* \(5 runs\)$/m);
  const [report] = JSON.parse(readFileSync(json, 'utf8'));
  expect(report).toMatchObject({ backend: 'cpu', seed: 7, passed: true });
  rmSync(json);
});

test('a projector that breaks one is an exit code of 1, with the law, the smallest case and how to repeat it', async () => {
  const { code, stdout } = await check('broken-projector.ts', '--runs', '5');
  expect(code).toBe(1);
  expect(stdout).toMatch(/^firstRows on wasm, seed 1: \d+ broken$/m);
  expect(stdout).toMatch(/^firstRows breaks the law ".*": /m);
  expect(stdout).toMatch(/^ {2}smallest case: \{/m);
  expect(stdout).toMatch(/^ {2}found in run \d+; repeat with \{ seed: 1 \}$/m);
});

test.each([
  ['nowhere.js', /^frugal: file: expected a module, found nothing at nowhere\.js\.\n$/],
  [
    'no-factory.ts',
    /^frugal: file: expected a function that returns a projector, .*no-factory\.ts with the exports answer\. /,
  ],
  [
    'does-not-load.mjs',
    /^frugal: file: expected a module that loads, found does-not-load\.mjs, which does not load \(Error: Cannot find/,
  ],
])('%s is told in one line', async (file, message) => {
  const { code, stdout, stderr } = await check(file);
  expect(stderr).toMatch(message);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
});

test.each([
  [['lawful-rule.ts', '--backend', 'abacus'], 1, /^frugal: backend: expected one of wasm, cpu/],
  [['lawful-rule.ts', '--runs', '0'], 2, /^error: option '--runs <n>' argument '0' is invalid/],
  [[], 2, /^error: missing required argument 'file'/],
])('%j is a command line that cannot be run', async (args, exitCode, message) => {
  const { code, stdout, stderr } = await frugalHere('check', ...args);
  expect(stderr).toMatch(message);
  expect({ code, stdout }).toEqual({ code: exitCode, stdout: '' });
});
