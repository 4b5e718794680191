import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import '@frugaljs/backend-wasm';
import { removeBackend, setBackend } from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { FROM_SOURCE } from '../../../tools/test-support/node-process.js';

const program = fileURLToPath(new URL('uncaught-process.ts', import.meta.url));

function run(way: string): { readonly status: number | null; readonly stderr: string } {
  return spawnSync(process.execPath, [...FROM_SOURCE, program, way], { encoding: 'utf8' });
}

describe('an uncaught error of a program on wasm', { timeout: 30_000 }, () => {
  it.each(['an error', 'a rejection'])('is printed with its own place and nothing of the backend: %s', way => {
    const { status, stderr } = run(way);
    expect(status).toBe(1);
    expect(stderr).toContain('Error: of the user');
    expect(stderr).not.toContain('tfjs-backend-wasm');
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
  await setBackend('wasm');
  expect(events.map(event => process.listeners(event as never))).toEqual(before);
  removeBackend('wasm');
  process.removeListener('unhandledRejection', own);
});
