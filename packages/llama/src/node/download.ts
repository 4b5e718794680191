import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { gunzip } from '../data/gunzip.js';
import { DataError, IntegrityError } from '../errors.js';
import type { CorpusFile } from './corpus-sources.js';

/** @throws IntegrityError if the content has not the length or SHA-256 that the table gives. */
export function checkIntegrity(content: Uint8Array, file: CorpusFile, where: string): void {
  if (file.bytes !== undefined && content.length !== file.bytes) {
    throw new IntegrityError({
      parameter: where,
      found: `${content.length} bytes`,
      expected: `${file.bytes} bytes`,
      advice: 'It is cut off or not the published file: delete it if it is a file of yours, and try again.',
    });
  }
  if (file.sha256 === undefined) return;
  const found = createHash('sha256').update(content).digest('hex');
  if (found !== file.sha256) {
    throw new IntegrityError({
      parameter: where,
      found: `SHA-256 ${found}`,
      expected: `SHA-256 ${file.sha256}`,
      advice: 'It is not the published file: delete it if it is a file of yours, and try again.',
    });
  }
}

/**
 * Fetches a file, checks it and then stores it, so that a stored file is always whole.
 *
 * @param target Where to keep it.
 * @param timeout Milliseconds for the whole transfer.
 * @throws DataError if it cannot be fetched or stored, IntegrityError if it is another file; nothing is stored in either case.
 */
export async function download(
  file: CorpusFile & { readonly url: string },
  target: string,
  timeout: number,
): Promise<Uint8Array> {
  const content = await gunzip(await fetchBytes(file.url, timeout), file.url);
  checkIntegrity(content, file, file.url);
  const partial = `${target}.${process.pid}.part`;
  try {
    await makeFolder(dirname(target));
    await writeFile(partial, content);
    await rename(partial, target);
  } catch (error) {
    throw new DataError({
      parameter: target,
      found: (error as Error).message,
      expected: 'a folder to keep downloads in',
      advice: 'Name one that can be written in FRUGAL_CACHE.',
    });
  }
  return content;
}

/** Node's recursive `mkdir` never ends where a file system takes no folders, as under /proc. */
async function makeFolder(path: string): Promise<void> {
  if (existsSync(path)) return;
  if (dirname(path) !== path) await makeFolder(dirname(path));
  await mkdir(path).catch((error: unknown) => {
    if (!existsSync(path)) throw error;
  });
}

async function fetchBytes(url: string, timeout: number): Promise<Uint8Array> {
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(timeout) });
    if (!response.ok) throw new Error(`HTTP status ${response.status}`);
    return new Uint8Array(await response.arrayBuffer());
  } catch (error) {
    const { message, cause } = error as Error & { cause?: { code?: string; message?: string } };
    const reason = cause?.code ?? cause?.message;
    throw new DataError({
      parameter: url,
      found: reason === undefined ? message : `${message} (${reason})`,
      expected: 'a download',
      advice: 'Without a network, put the file into a folder and name that folder in FRUGAL_DATA.',
    });
  }
}
