import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { ready, setBackend } from '@tensorflow/tfjs-core';
import { beforeAll } from 'vitest';

/** The backends that need no driver. */
export const BACKENDS: readonly string[] = ['cpu', 'wasm'];

/** Runs the tests of the surrounding `describe` on a backend. */
export function useBackend(name: string): void {
  beforeAll(async () => {
    await setBackend(name);
    await ready();
  });
}
