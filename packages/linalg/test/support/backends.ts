import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { memory, ready, setBackend } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect } from 'vitest';

/** Runs the same tests on every backend that works in Node without a driver. */
export function describeOnBackends(title: string, tests: () => void): void {
  for (const backend of ['cpu', 'wasm']) {
    describe(`${title} on ${backend}`, () => {
      beforeAll(async () => {
        await setBackend(backend);
        await ready();
      });
      tests();
    });
  }
}

/** Runs the body and checks that it leaves exactly `expected` tensors more than it found. */
export function expectTensors<T>(expected: number, body: () => T): T {
  const before = memory().numTensors;
  const result = body();
  expect(memory().numTensors - before).toBe(expected);
  return result;
}
