import '@tensorflow/tfjs-backend-cpu';
import '@tensorflow/tfjs-backend-wasm';
import { ready, setBackend } from '@tensorflow/tfjs-core';
import { beforeAll } from 'vitest';

/** The backends that need no driver. */
export const BACKENDS = ['cpu', 'wasm'] as const;

/** Runs the tests of the surrounding `describe` on a backend. */
export function useBackend(name: (typeof BACKENDS)[number]): void {
  beforeAll(async () => {
    await setBackend(name);
    await ready();
  });
}
