import { OutOfMemoryError } from '@frugaljs/core/errors';
import { backend, setBackend } from '@tensorflow/tfjs-core';
import { describe, expect, it } from 'vitest';
import { runProgram } from '../../../tools/test-support/node-process.js';
import type { Printed } from './full-heap-process.js';

const program = new URL('full-heap-process.ts', import.meta.url);

async function run(way: string): Promise<Partial<Printed>> {
  const stdout = await runProgram(program, way);
  return JSON.parse(stdout.slice(stdout.indexOf('{"outcomes"'))) as Partial<Printed>;
}

const GROWTH =
  /^OutOfMemoryError: memory of the wasm backend: expected room for one more tensor, found a heap of [\d,]+ MiB that cannot grow by ([\d,]+) MiB\. The heap holds 4 GiB/;

describe.concurrent('a full heap', { timeout: 60_000 }, () => {
  it.each([
    'imported before the backend starts',
    'imported while the backend runs',
    'imported while the backend starts',
    'a second backend',
    'the guard alone',
  ])('is a typed error, and nothing is overwritten: %s', async way => {
    const { outcomes, ...rest } = await run(way);
    const growth = Object.entries(outcomes!).map(([operation, error]) => [operation, GROWTH.exec(error)?.[1]]);
    expect(growth, JSON.stringify(outcomes)).toEqual([
      ['tensor', '1'],
      ['add', '1'],
      ['matMul', '1'],
      ['more than there are addresses', '4,096'],
    ]);
    expect(rest).toEqual({ typed: true, apart: true, intact: true, left: 0, recovered: true });
  });

  it('without the guard goes unnoticed: blocks beyond the heap, and then tensors at address 0', async () => {
    const { outcomes, apart } = await run('no guard');
    expect(apart).toBe(false);
    expect(outcomes).toEqual({ tensor: 'put at 0' });
  });
});

describe('the guard', () => {
  interface Allocator {
    _malloc(bytes: number): number;
    _free(offset: number): void;
  }

  it('is put up once, whichever copy of the package does it', async () => {
    await import('../src/index.js');
    await setBackend('wasm');
    const { wasm } = backend() as unknown as { wasm: Allocator };
    const guarded = wasm._malloc;
    const [own, other] = await Promise.all([
      import('../src/heap-guard.js'),
      import('../src/heap-guard.js?another copy' as string) as Promise<typeof import('../src/heap-guard.js')>,
    ]);
    expect(other.guardWasmHeap).not.toBe(own.guardWasmHeap);
    own.guardWasmHeap();
    other.guardWasmHeap();
    other.guardWasmHeap(backend());
    expect(wasm._malloc).toBe(guarded);
    expect(() => wasm._malloc(2 ** 32 + 64)).toThrow(OutOfMemoryError);
    const offset = wasm._malloc(64);
    expect(offset).not.toBe(0);
    wasm._free(offset);
  });

  it('leaves alone what is no heap that it knows', async () => {
    const { guardWasmHeap } = await import('../src/heap-guard.js');
    for (const other of [undefined, null, {}, { wasm: {} }, { wasm: { _malloc: () => 0 } }]) {
      expect(() => guardWasmHeap(other)).not.toThrow();
    }
  });
});
