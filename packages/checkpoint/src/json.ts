import { InvalidOptionError, type Json, NotSerializableError } from '@frugaljs/core';
import { InvalidCheckpointError } from './bytes.js';

/** Stands for a number that JSON has no form for. */
const KEY = '$number';
const UNWRITABLE: Readonly<Record<string, number>> = {
  NaN: Number.NaN,
  Infinity: Number.POSITIVE_INFINITY,
  '-Infinity': Number.NEGATIVE_INFINITY,
  '-0': -0,
};

/**
 * JSON text that keeps every number: NaN, ±Infinity and -0 become `{"$number":"NaN"}` and so on, so that a run whose
 * loss overflowed can still be saved. Members that are undefined are left out.
 *
 * @throws NotSerializableError naming the path of a function, symbol, bigint, class instance, cycle, `$number` key, or of
 *   what is nested too deep.
 */
export function toExactJson(value: unknown, parameter: string): string {
  return JSON.stringify(encode(value, parameter, new Set()));
}

/** The inverse of {@link toExactJson}, of a parsed value. */
export function fromExactJson(value: Json): Json {
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map(fromExactJson);
  const members = Object.entries(value as { readonly [key: string]: Json });
  const [name, text] = members[0] ?? [];
  if (members.length === 1 && name === KEY && typeof text === 'string' && Object.hasOwn(UNWRITABLE, text)) {
    return UNWRITABLE[text]!;
  }
  return Object.fromEntries(members.map(([key, member]) => [key, fromExactJson(member)]));
}

function encode(value: unknown, path: string, above: Set<object>): Json {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value;
  if (typeof value === 'number') {
    return Number.isFinite(value) && !Object.is(value, -0)
      ? value
      : { [KEY]: Object.is(value, -0) ? '-0' : `${value}` };
  }
  if (typeof value !== 'object') throw refusal(path, `a ${typeof value}`);
  if (above.has(value)) throw refusal(path, 'an object that holds itself');
  if (above.size === DEEPEST) throw refusal(path, `something nested more than ${DEEPEST} deep`);
  above.add(value);
  const encoded = Array.isArray(value) ? encodeList(value, path, above) : encodeObject(value, path, above);
  above.delete(value);
  return encoded;
}

function encodeList(list: readonly unknown[], path: string, above: Set<object>): Json {
  return list.map((member, i) => encode(member, `${path}[${i}]`, above));
}

function encodeObject(value: object, path: string, above: Set<object>): Json {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype !== Object.prototype && prototype !== null) throw refusal(path, `a ${value.constructor.name}`);
  if (Object.hasOwn(value, KEY)) throw refusal(`${path}.${KEY}`, 'a key with a meaning of its own');
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([key, member]) => [key, encode(member, `${path}.${key}`, above)]),
  );
}

function refusal(parameter: string, found: string): NotSerializableError {
  return new NotSerializableError({
    parameter,
    found,
    expected: 'numbers, strings, booleans, null, arrays and plain objects',
    advice: 'Turn typed arrays and other objects into plain ones before saving.',
  });
}

/** Brackets within brackets: deeper ones are neither written nor read. */
const DEEPEST = 64;
/** Largest file that is read whole, and so the largest that is written of one piece. */
export const LARGEST_FILE: number = 64 * 2 ** 20;

/**
 * Checks that a file can be read as it is about to be written.
 *
 * @param parameter What it was made from.
 * @throws InvalidOptionError for more bytes, or for deeper JSON, than is read.
 */
export function requireReadable(
  bytes: Uint8Array,
  parameter: string,
  isJson: boolean,
  largest: number = LARGEST_FILE,
): void {
  const nested = isJson ? tooDeepAt(bytes) : null;
  if (nested === null && bytes.byteLength <= largest) return;
  throw new InvalidOptionError({
    parameter,
    found: nested === null ? `${bytes.byteLength} bytes` : `brackets more than ${DEEPEST} deep`,
    expected: `at most ${largest} bytes${isJson ? `, and JSON at most ${DEEPEST} deep` : ''}`,
    advice: 'More is refused on reading.',
  });
}

const [QUOTE, BACKSLASH, OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x22, 0x5c, 0x5b, 0x5d, 0x7b, 0x7d];

/**
 * Parses JSON that may be hostile: nesting is bounded before the parser sees it, bytes must be UTF-8. The caller bounds
 * the length.
 *
 * @throws InvalidCheckpointError naming the file.
 */
export function parseBoundedJson(bytes: Uint8Array, label: string): Json {
  const nested = tooDeepAt(bytes);
  if (nested !== null) {
    throw new InvalidCheckpointError({
      parameter: label,
      found: `brackets more than ${DEEPEST} deep at byte ${nested}`,
      expected: 'the JSON of a checkpoint',
    });
  }
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

/** The byte at which brackets are nested too deep; null if they are not. */
function tooDeepAt(bytes: Uint8Array): number | null {
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
    if (depth > DEEPEST) return i;
  }
  return null;
}
