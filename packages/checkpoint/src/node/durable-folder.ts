import { existsSync, statSync } from 'node:fs';
import { mkdir, open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { CheckpointStorageError } from '../errors.js';

/**
 * Waits until the entries of a folder (what was created in it, renamed or removed) are on the disk. Windows does not let
 * a folder be opened and writes its entries through.
 */
export async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return;
  const folder = await open(path, 'r');
  try {
    await folder.sync();
  } finally {
    await folder.close();
  }
}

/**
 * Creates a folder and what is missing above it, durably. One after the other: where a file system takes no folders, as
 * under /proc, Node's recursive `mkdir` never ends.
 *
 * @throws What `mkdir` throws; CheckpointStorageError where the folder above exists and takes none.
 */
export async function makeFolder(path: string): Promise<void> {
  const folder = resolve(path);
  const above = dirname(folder);
  if (existsSync(folder) && statSync(folder).isDirectory()) return;
  if (!existsSync(folder) && above !== folder) await makeFolder(above);
  try {
    await mkdir(folder);
  } catch (error) {
    if (existsSync(folder) && statSync(folder).isDirectory()) return;
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new CheckpointStorageError('not-writable', {
      parameter: folder,
      found: `${above}, which takes no folders (ENOENT)`,
      expected: 'a folder that can be written',
      advice: 'Save elsewhere.',
    });
  }
  await syncFolder(above);
}
