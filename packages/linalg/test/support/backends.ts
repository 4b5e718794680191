import { memory } from '@tensorflow/tfjs-core';
import { describe, expect } from 'vitest';
import { BACKENDS, useBackend } from '../../../../tools/test-support/backends.js';

/** Runs the same tests on every backend that works in Node without a driver. */
export function describeOnBackends(title: string, tests: () => void): void {
  for (const backend of BACKENDS) {
    describe(`${title} on ${backend}`, () => {
      useBackend(backend);
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
