import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { registerTrainingKernels } from '@frugaljs/backend-wasm';
import { removeBackend, setBackend } from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { FROM_SOURCE } from '../../../tools/test-support/node-process.js';

const program = fileURLToPath(new URL('uncaught-process.ts', import.meta.url));

interface Ending {
  readonly status: number | null;
  readonly stderr: string;
}

function node(...args: readonly string[]): Ending {
  const cwd = fileURLToPath(new URL('.', import.meta.url));
  return spawnSync(process.execPath, [...FROM_SOURCE, ...args], { cwd, encoding: 'utf8' });
}

const run = (way: string): Ending => node(program, way);

describe('an uncaught error of a program on wasm', { timeout: 30_000 }, () => {
  it.each(['an error', 'a rejection'])('is printed with its own place and nothing of the backend: %s', way => {
    const { status, stderr } = run(way);
    expect(status).toBe(1);
    expect(stderr).toContain('Error: of the user');
    expect(stderr).not.toContain('tfjs-backend-wasm');
    expect(stderr.length).toBeLessThan(2000);
  });

  it.each([
    ['thrown at once', "throw new Error('of the user')"],
    ['thrown by tfjs, for which the backend is not ready', 'ones([2])'],
    ['thrown soon', "await 0; throw new Error('of the user')"],
    ['thrown later', "setImmediate(() => { throw new Error('of the user'); })"],
    ['a rejection', "void Promise.reject(new Error('of the user'))"],
  ])('is printed alone also while the backend starts: %s', (_, failing) => {
    const code = `import '@frugaljs/backend-wasm';
      import { ones, setBackend } from '@tensorflow/tfjs-core';
      void setBackend('wasm');
      ${failing};`;
    const { status, stderr } = node('--input-type=module', '--eval', code);
    expect(status).toBe(1);
    expect(stderr).toMatch(failing.startsWith('ones') ? /Error: Backend 'wasm' has not yet/ : /Error: of the user/);
    expect(stderr).not.toContain('wasm-out');
    expect(stderr.length).toBeLessThan(2000);
  });

  it('reaches the handler of the program', () => {
    const { status, stderr } = run('a handler of the user');
    expect([status, stderr.trim()]).toEqual([3, 'handled: of the user']);
  });
});

it('listeners of the program stay, and a backend that starts again leaves none', async () => {
  const own = (error: unknown): void => void error;
  process.on('unhandledRejection', own);
  const events = ['uncaughtException', 'unhandledRejection'] as const;
  const before = events.map(event => process.listeners(event as never));
  const started = setBackend('wasm');
  const others = { error: (): void => {}, rejection: (): void => {} };
  process.on('uncaughtException', others.error).on('unhandledRejection', others.rejection);
  await started;
  expect(process.listeners('uncaughtException')).toContain(others.error);
  expect(process.listeners('unhandledRejection')).toContain(others.rejection);
  process.removeListener('uncaughtException', others.error).removeListener('unhandledRejection', others.rejection);
  expect(events.map(event => process.listeners(event as never))).toEqual(before);
  registerTrainingKernels();
  expect(process.listeners('newListener' as never).filter(({ name }) => name === 'watch')).toHaveLength(1);
  removeBackend('wasm');
  process.removeListener('unhandledRejection', own);
});
