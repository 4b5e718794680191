import { FormatError } from './errors.js';

/** Text to train on and text to validate with. */
export interface Corpus {
  /** The name or path it was asked for by. */
  readonly name: string;
  /** Where the text came from, for logs and reports. */
  readonly origin: string;
  readonly train: readonly string[];
  readonly validation: readonly string[];
}

/** How a text file is divided into documents. */
export type DocumentFormat = 'text' | 'jsonl';

const SEPARATOR = '<|endoftext|>';

/**
 * The documents of a file. In plain text `<|endoftext|>` separates them (without one the whole file is a document); in
 * JSON lines each line is an object with the string `text`. Empty documents are dropped.
 *
 * @param parameter Names the file in errors.
 * @throws FormatError naming the line that is not such an object, or if there is no text at all.
 */
export function parseDocuments(content: string, format: DocumentFormat, parameter: string): string[] {
  const documents = format === 'jsonl' ? parseLines(content, parameter) : parseText(content);
  if (documents.length === 0) {
    throw new FormatError({ parameter, found: 'no text', expected: 'at least one document that is not empty' });
  }
  return documents;
}

/** `jsonl` for names ending in .jsonl or .ndjson, compressed or not; else `text`. */
export function documentFormat(path: string): DocumentFormat {
  return /\.(jsonl|ndjson)(\.gz)?$/i.test(path) ? 'jsonl' : 'text';
}

/**
 * Cuts the tail off: the last documents that together hold at least `fraction` of the characters, or of a single
 * document its end, from the start of a line if it has lines.
 *
 * @throws FormatError if nothing would be left for training.
 */
export function splitTail(
  documents: readonly string[],
  fraction: number,
  parameter: string,
): { train: string[]; validation: string[] } {
  const total = documents.reduce((sum, document) => sum + document.length, 0);
  let cut = documents.length;
  for (let tail = 0; cut > 0 && tail < fraction * total; ) tail += documents[--cut]!.length;
  if (cut > 0) return { train: documents.slice(0, cut), validation: documents.slice(cut) };

  const [whole] = documents;
  const target = Math.floor((1 - fraction) * total);
  const newline = documents.length === 1 ? whole!.lastIndexOf('\n', target) : -1;
  const at = newline > 0 ? newline + 1 : target;
  if (documents.length > 1 || at <= 0) {
    throw new FormatError({
      parameter,
      found: `${total} characters in ${documents.length} documents`,
      expected: `enough text to keep ${fraction} of it for validation`,
    });
  }
  return { train: [whole!.slice(0, at)], validation: [whole!.slice(at)] };
}

function parseText(content: string): string[] {
  return content
    .split(SEPARATOR)
    .map(document => document.replace(/^\r?\n/, ''))
    .filter(document => document.trim() !== '');
}

function parseLines(content: string, parameter: string): string[] {
  const documents: string[] = [];
  const lines = content.split('\n');
  for (const [index, line] of lines.entries()) {
    if (line.trim() === '') continue;
    let row: unknown;
    try {
      row = JSON.parse(line);
    } catch {
      row = line;
    }
    const text = typeof row === 'object' && row !== null ? (row as { text?: unknown }).text : undefined;
    if (typeof text !== 'string') {
      throw new FormatError({
        parameter: `${parameter}, line ${index + 1}`,
        found: row,
        expected: 'a JSON object with the string "text"',
      });
    }
    if (text.trim() !== '') documents.push(text);
  }
  return documents;
}

/** Beyond this share of unreadable characters a file is no text, or one in another encoding. */
const LARGEST_UNREADABLE_SHARE = 0.05;

/**
 * The text of a file: UTF-8, or UTF-16 with a byte order mark, as some editors save it. Bytes that are neither become
 * U+FFFD, and `warn` is told how many, since a model would otherwise learn them in silence.
 *
 * @param where What the file is called in messages.
 * @throws FormatError for bytes that are no text: NUL characters, or more than 1 in 20 characters that are unreadable.
 */
export function decodeText(bytes: Uint8Array, where: string, warn: (line: string) => void): string {
  const encoding = byteOrderMark(bytes);
  const text = new TextDecoder(encoding).decode(bytes);
  if (text.includes('\0')) {
    throw new FormatError({
      parameter: where,
      found: 'NUL characters: a binary file, or UTF-16 without a byte order mark',
      expected: 'text',
      advice: 'Save it as UTF-8.',
    });
  }
  const unreadable = isValid(bytes, encoding) ? 0 : count(text, '\uFFFD');
  if (unreadable > LARGEST_UNREADABLE_SHARE * text.length) {
    throw new FormatError({
      parameter: where,
      found: `${unreadable} unreadable characters of ${text.length}: a binary file, or another encoding`,
      expected: 'UTF-8 text',
      advice: 'Save it as UTF-8.',
    });
  }
  if (unreadable > 0) {
    warn(`${where}: ${unreadable} of ${text.length} characters are no UTF-8 and are read as \uFFFD. Save it as UTF-8.`);
  }
  return text;
}

function byteOrderMark([first, second]: Uint8Array): 'utf-8' | 'utf-16le' | 'utf-16be' {
  if (first === 0xff && second === 0xfe) return 'utf-16le';
  return first === 0xfe && second === 0xff ? 'utf-16be' : 'utf-8';
}

function isValid(bytes: Uint8Array, encoding: string): boolean {
  try {
    new TextDecoder(encoding, { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function count(text: string, character: string): number {
  let found = 0;
  for (let i = text.indexOf(character); i >= 0; i = text.indexOf(character, i + 1)) found++;
  return found;
}

/** Bytes of the largest file that is read, compressed or not: as much text as a string can hold (V8: 2²⁹ - 24 characters). */
export const LARGEST_FILE: number = 2 ** 29 - 24;

/**
 * Decompresses gzip data, recognized by its first two bytes; other data is returned as it is. Node and browsers.
 *
 * @param parameter What the data is called in messages.
 * @param largest Bytes of content: beyond it nothing more is decompressed. A megabyte of gzip can hold a gigabyte.
 * @throws FormatError for gzip data that is broken or holds more.
 */
export async function gunzip(
  bytes: Uint8Array,
  parameter = 'gzip data',
  largest: number = LARGEST_FILE,
): Promise<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  const stream = new Blob([bytes as Uint8Array<ArrayBuffer>]).stream().pipeThrough(new DecompressionStream('gzip'));
  let content: Uint8Array | null;
  try {
    content = await collect(stream, largest);
  } catch (error) {
    throw new FormatError({
      parameter,
      found: (error as Error).message,
      expected: 'a whole gzip file',
      advice: 'It may be cut off: fetch it again.',
    });
  }
  if (content !== null) return content;
  throw new FormatError({
    parameter,
    found: `${bytes.length} bytes of gzip that hold more`,
    expected: `at most ${largest} bytes when decompressed`,
  });
}

/** All bytes of a stream, or null as soon as there are more than `largest`, which ends it. */
export async function collect(stream: ReadableStream<Uint8Array>, largest: number): Promise<Uint8Array | null> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  // Not every browser iterates over streams.
  const reader = stream.getReader();
  for (let next = await reader.read(); !next.done; next = await reader.read()) {
    length += next.value.length;
    if (length > largest) {
      await reader.cancel();
      return null;
    }
    chunks.push(next.value);
  }
  const all = new Uint8Array(length);
  let at = 0;
  for (const chunk of chunks) {
    all.set(chunk, at);
    at += chunk.length;
  }
  return all;
}
