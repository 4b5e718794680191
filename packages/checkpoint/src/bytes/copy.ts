import type { ByteSink } from './sink.js';
import { type ByteSource, requireInside } from './source.js';

const CHUNK = 2 ** 22;

/** Copies a source into a sink, a few megabytes at a time. */
export async function copyBytes(source: ByteSource, sink: ByteSink): Promise<void> {
  for (let at = 0; at < source.size; at += CHUNK) {
    await sink.write(await source.read(at, Math.min(CHUNK, source.size - at)));
  }
}

/** A part of a source as a source; closing it leaves the whole open. */
export function partOf(whole: ByteSource, label: string, begin: number, size: number): ByteSource {
  return {
    label,
    size,
    read: async (offset, length) => {
      requireInside(label, offset, length, size);
      return whole.read(begin + offset, length);
    },
    close: async () => {},
  };
}
