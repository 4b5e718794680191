import { FormatError } from '../errors.js';

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
