import { FormatError } from '../errors.js';

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
