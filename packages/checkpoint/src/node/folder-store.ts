import { randomBytes } from 'node:crypto';
import { existsSync, statSync } from 'node:fs';
import { mkdir, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { crc32 } from 'node:zlib';
import type { ByteSource, Crc32 } from '../bytes.js';
import { FILES, isPlainName } from '../manifest.js';
import {
  type CheckpointDraft,
  CheckpointStorageError,
  type CheckpointStore,
  noSuchCheckpoint,
  numberedName,
  type StoredCheckpoint,
} from '../stores.js';
import { fileSink, fileSource, makeFolder, storing, syncFolder } from './files.js';

const WRITABLE = 'a folder that can be written';

/**
 * Checkpoints as folders in a folder. A checkpoint is written into a hidden folder, file by file down to the disk, then
 * renamed: whatever moment the process or the machine dies at, a folder with a visible name is complete.
 */
export class FolderStore implements CheckpointStore {
  readonly location: string;
  readonly crc32: Crc32 = (bytes, before) => crc32(bytes, before);

  constructor(path: string) {
    this.location = resolve(path);
  }

  async prepare(): Promise<void> {
    await storing(this.location, WRITABLE, async () => {
      await makeFolder(this.location);
      await removeLeftovers(this.location);
      const name = temporaryName('draft');
      const probe = join(this.location, name);
      try {
        await writeFile(probe, 'a');
      } finally {
        await rm(probe, { force: true });
        forget(name);
      }
    });
  }

  async list(): Promise<readonly string[]> {
    return storing(this.location, 'a folder that can be read', async () => {
      // What was never written to holds no checkpoints.
      if (!existsSync(this.location)) return [];
      const entries = await readdir(this.location, { withFileTypes: true });
      return entries
        .filter(entry => entry.isDirectory() && !entry.name.startsWith('.'))
        .map(({ name }) => name)
        .filter(name => existsSync(join(this.location, name, FILES.manifest)));
    });
  }

  async begin(): Promise<CheckpointDraft> {
    const name = temporaryName('draft');
    const path = join(this.location, name);
    await storing(this.location, WRITABLE, async () => {
      await makeFolder(this.location);
      await removeLeftovers(this.location);
      await mkdir(path);
    });
    return {
      create: file => {
        requirePlain(file);
        return fileSink(join(path, file));
      },
      file: file => fileIn(path, file),
      commit: wished =>
        storing(this.location, WRITABLE, async () => {
          await syncFolder(path);
          const free = await this.#moveIn(path, wished);
          await syncFolder(this.location);
          forget(name);
          return free;
        }),
      discard: async () => {
        await rm(path, { recursive: true, force: true }).catch(() => {});
        forget(name);
      },
    };
  }

  async open(name: string): Promise<StoredCheckpoint> {
    const path = join(this.location, name);
    if (name !== basename(path) || !existsSync(path)) {
      throw noSuchCheckpoint(name, await this.list(), this.location);
    }
    return { name, file: file => fileIn(path, file) };
  }

  async remove(name: string): Promise<void> {
    const path = join(this.location, name);
    if (name !== basename(path) || !existsSync(path)) return;
    await storing(path, WRITABLE, async () => {
      // Hidden first: a checkpoint that is half removed must not look like one.
      const hidden = temporaryName('removed');
      await rename(path, join(this.location, hidden));
      await rm(join(this.location, hidden), { recursive: true, force: true });
      forget(hidden);
    });
  }

  /** Renames onto the first free name. Where one is taken, renaming onto its folder fails, as it is not empty. */
  async #moveIn(draft: string, wished: string): Promise<string> {
    for (let attempt = 1; ; attempt++) {
      const name = numberedName(wished, attempt);
      const path = join(this.location, name);
      if (existsSync(path)) continue;
      try {
        await rename(draft, path);
        return name;
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code !== 'ENOTEMPTY' && code !== 'EEXIST' && !(code === 'EPERM' && existsSync(path))) throw error;
      }
    }
  }
}

/**
 * The store and, if the path is that of one checkpoint, the name in it: what `--resume PATH` means.
 *
 * @throws CheckpointStorageError if there is nothing at the path, or a file.
 */
export function locateCheckpoints(path: string): { store: FolderStore; name: string | null } {
  const at = resolve(path);
  if (!existsSync(at)) {
    throw new CheckpointStorageError('missing', {
      parameter: path,
      found: 'nothing there',
      expected: 'a checkpoint, or a folder of checkpoints',
    });
  }
  if (!statSync(at).isDirectory()) {
    throw new CheckpointStorageError('in-the-way', {
      parameter: path,
      found: 'a file',
      expected: 'a checkpoint, or a folder of checkpoints',
      ...(existsSync(join(dirname(at), FILES.manifest)) && {
        advice: `The checkpoint is its folder, ${dirname(path)}.`,
      }),
    });
  }
  if (!existsSync(join(at, FILES.manifest))) return { store: new FolderStore(at), name: null };
  return { store: new FolderStore(dirname(at)), name: basename(at) };
}

async function fileIn(folder: string, name: string): Promise<ByteSource | null> {
  requirePlain(name);
  const path = join(folder, name);
  return existsSync(path) ? fileSource(path) : null;
}

function requirePlain(file: string): void {
  if (isPlainName(file)) return;
  throw new CheckpointStorageError('in-the-way', { parameter: 'file', found: file, expected: 'a plain file name' });
}

const PATTERN = /^\.(?:draft|removed)-(\d+)-[0-9a-f]{12}$/;
/** After this long nothing is still being written, whatever process now has the number. */
const STALE = 24 * 3600 * 1000;
/** Drafts of this process, by name: another process may have had the same number. */
const own = new Set<string>();

/** A name for a folder that is not, or no longer, a checkpoint. */
function temporaryName(purpose: 'draft' | 'removed'): string {
  const name = `.${purpose}-${process.pid}-${randomBytes(6).toString('hex')}`;
  own.add(name);
  return name;
}

/** Says that a temporary folder is gone. */
function forget(name: string): void {
  own.delete(name);
}

/** Removes what crashed processes left behind, and nothing that a live one is writing. */
async function removeLeftovers(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const pid = PATTERN.exec(name)?.[1];
    if (pid === undefined || own.has(name)) continue;
    const path = join(folder, name);
    if (isAlive(Number(pid)) && !(await isStale(path))) continue;
    await rm(path, { recursive: true, force: true });
  }
}

function isAlive(pid: number): boolean {
  // A draft with our number that is not ours is from before: in a container every run may have the same one.
  if (pid === process.pid) return false;
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

async function isStale(path: string): Promise<boolean> {
  try {
    return Date.now() - (await stat(path)).mtimeMs > STALE;
  } catch {
    return false;
  }
}
