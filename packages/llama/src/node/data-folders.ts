import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { gunzip } from '../corpus.js';
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
