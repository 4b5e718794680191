import { readFile } from 'node:fs/promises';
import { gunzip } from '../data/gunzip.js';
import { DataError } from '../errors.js';

/**
 * The content of a file, decompressed if it is gzip.
 *
 * @throws DataError if it cannot be read, FormatError if it is a broken gzip file.
 */
export async function readContent(path: string): Promise<Uint8Array> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    const found = code === 'EISDIR' ? 'a folder' : message;
    throw new DataError({ parameter: path, found, expected: 'a file that can be read' });
  }
  return gunzip(bytes, path);
}

/** The UTF-8 text of a file, decompressed if it is gzip. */
export async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readContent(path));
}
