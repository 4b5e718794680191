import { expect } from 'vitest';

/** `expect.poll` with the patience that a busy machine asks for. */
export function eventually<T>(read: () => T | Promise<T>, message?: string): ReturnType<typeof expect.poll<T>> {
  return expect.poll(read, { timeout: 30_000, interval: 100, ...(message === undefined ? {} : { message }) });
}
