import { FormatError } from '../errors.js';

/** Decompresses gzip data, recognized by its first two bytes; other data is returned as it is. Node and browsers. */
export async function gunzip(bytes: Uint8Array, parameter = 'gzip data'): Promise<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream('gzip'));
  try {
    return new Uint8Array(await new Response(stream).arrayBuffer());
  } catch (error) {
    throw new FormatError({
      parameter,
      found: (error as Error).message,
      expected: 'a whole gzip file',
      advice: 'It may be cut off: fetch it again.',
    });
  }
}
