import { createReadStream, existsSync, type Stats } from 'node:fs';
import { stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { Readable } from 'node:stream';
import { collect, gunzip, LARGEST_FILE } from '../corpus.js';
import { DataError } from '../errors.js';

/** Where data is looked for. */
export interface FolderOptions {
  /** Where to start (default: the current directory). */
  readonly cwd?: string;
  /** Environment (default: `process.env`). */
  readonly env?: Readonly<Record<string, string | undefined>>;
}

/**
 * Existing data folders, in the order they are searched: `$FRUGAL_DATA`, else `../shared/data` seen from the current
 * directory and from each directory above it that holds a `package.json`; then the cache.
 */
export function dataFolders(options: FolderOptions = {}): string[] {
  const { cwd = process.cwd(), env = process.env } = options;
  const folders: string[] = [];
  if (env['FRUGAL_DATA']) {
    folders.push(resolve(cwd, env['FRUGAL_DATA']));
  } else {
    for (const root of [resolve(cwd), ...ancestors(cwd).filter(folder => existsSync(join(folder, 'package.json')))]) {
      folders.push(join(root, '..', 'shared', 'data'));
    }
  }
  folders.push(cacheFolder(options));
  return [...new Set(folders)].filter(folder => existsSync(folder));
}

/** Where downloads are kept: `$FRUGAL_CACHE`, else `frugaljs` in `$XDG_CACHE_HOME` or `~/.cache`. */
export function cacheFolder(options: FolderOptions = {}): string {
  const { cwd = process.cwd(), env = process.env } = options;
  if (env['FRUGAL_CACHE']) return resolve(cwd, env['FRUGAL_CACHE']);
  return join(env['XDG_CACHE_HOME'] || join(homedir(), '.cache'), 'frugaljs');
}

/** The first of `folder/path` and `folder/path.gz`, over all folders, that exists. */
export function findData(path: string, folders: readonly string[]): string | undefined {
  return folders.flatMap(folder => [join(folder, path), join(folder, `${path}.gz`)]).find(file => existsSync(file));
}

/** The directory itself and all above it. */
export function ancestors(from: string): string[] {
  const found = [resolve(from)];
  for (;;) {
    const parent = dirname(found[found.length - 1]!);
    if (parent === found[found.length - 1]) return found;
    found.push(parent);
  }
}

/**
 * The content of a file, decompressed if it is gzip.
 *
 * @throws DataError if it cannot be read, is no regular file (a device or a pipe may have no end) or has more than
 *   {@link LARGEST_FILE} bytes, FormatError if it is a broken gzip file or one that holds more than that.
 */
export async function readContent(path: string): Promise<Uint8Array> {
  let bytes: Uint8Array | null;
  try {
    const found = await stat(path);
    if (!found.isFile()) throw new DataError({ parameter: path, ...notAFile(found) });
    // What is being written to may have grown since.
    bytes = found.size > LARGEST_FILE ? null : await collect(streamOf(path), LARGEST_FILE);
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError({ parameter: path, found: (error as Error).message, expected: 'a file that can be read' });
  }
  if (bytes !== null) return gunzip(bytes, path);
  throw new DataError({
    parameter: path,
    found: 'more',
    expected: `a file of at most ${LARGEST_FILE} bytes, which is as much text as a string can hold`,
    advice: 'Take a part of it.',
  });
}

function streamOf(path: string): ReadableStream<Uint8Array> {
  return Readable.toWeb(createReadStream(path, { highWaterMark: 2 ** 20 })) as ReadableStream<Uint8Array>;
}

function notAFile(found: Stats): { readonly found: string; readonly expected: string; readonly advice?: string } {
  const expected = 'a file that can be read';
  if (found.isDirectory()) return { found: 'a folder', expected };
  const kind = found.isFIFO() ? 'a pipe' : found.isSocket() ? 'a socket' : 'a device';
  return { found: kind, expected, advice: 'Write what comes from it into a file.' };
}

/** The UTF-8 text of a file, decompressed if it is gzip. */
export async function readText(path: string): Promise<string> {
  return new TextDecoder().decode(await readContent(path));
}
