import type { Json } from '@frugaljs/core';
import { InvalidCheckpointError } from '../errors.js';

const DEEPEST = 64;
const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Parses JSON that may be hostile: nesting is bounded before the parser sees it, bytes must be UTF-8. The caller bounds
 * the length.
 *
 * @throws InvalidCheckpointError naming the file.
 */
export function parseBoundedJson(bytes: Uint8Array, label: string): Json {
  requireShallow(bytes, label);
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)) as Json;
  } catch (error) {
    throw new InvalidCheckpointError({
      parameter: label,
      found: (error as Error).message,
      expected: 'JSON in UTF-8',
      advice: 'The file was altered or is no part of a checkpoint.',
    });
  }
}

function requireShallow(bytes: Uint8Array, label: string): void {
  let depth = 0;
  let inString = false;
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i]!;
    if (inString) {
      if (byte === BACKSLASH) i++;
      else if (byte === QUOTE) inString = false;
    } else if (byte === QUOTE) inString = true;
    else if (byte === OPEN_LIST || byte === OPEN_OBJECT) depth++;
    else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth--;
    if (depth > DEEPEST) {
      throw new InvalidCheckpointError({
        parameter: label,
        found: `brackets more than ${DEEPEST} deep at byte ${i}`,
        expected: 'the JSON of a checkpoint',
      });
    }
  }
}
