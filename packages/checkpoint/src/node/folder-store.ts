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
  type Lease,
  noSuchCheckpoint,
  numberedName,
  removedMeanwhile,
  SharedLease,
  type StoredCheckpoint,
} from '../stores.js';
import { fileSink, fileSource, isThere, makeFolder, storing, syncFolder } from './files.js';
import { FolderLease, temporaryName } from './lease.js';

const WRITABLE = 'a folder that can be written';

/**
 * Checkpoints as folders in a folder. A checkpoint is written into a hidden folder, file by file down to the disk, then
 * renamed: whatever moment the process or the machine dies at, a folder with a visible name is complete. While the store
 * holds the lease of the folder, what it writes and removes lies in the lease, and is lost with it.
 */
export class FolderStore implements CheckpointStore {
  readonly location: string;
  readonly crc32: Crc32 = (bytes, before) => crc32(bytes, before);
  /** Worker threads have one process number, and containers do not see each other's: only a number of its own tells. */
  readonly #owner = randomBytes(4).toString('hex');
  /** What this store is writing or removing. */
  readonly #inUse = new Set<string>();
  readonly #lease = new SharedLease<FolderLease>();

  constructor(path: string) {
    this.location = resolve(path);
  }

  async prepare(): Promise<void> {
    await storing(this.location, WRITABLE, async () => {
      await makeFolder(this.location);
      await this.#removeLeftovers();
      const name = this.#temporaryName('draft');
      const probe = join(this.location, name);
      try {
        await writeFile(probe, 'a');
      } finally {
        await rm(probe, { force: true });
        this.#inUse.delete(name);
      }
    });
  }

  /** Takes the lease, which ends with the process if it is not released before. */
  async acquire(onWait: (line: string) => void): Promise<Lease> {
    return this.#lease.acquire(() =>
      storing(this.location, WRITABLE, async () => {
        await makeFolder(this.location);
        try {
          return await FolderLease.take(this.location, onWait);
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
          await this.#removeLeftovers();
          return FolderLease.take(this.location, onWait);
        }
      }),
    );
  }

  async list(): Promise<readonly string[]> {
    return storing(this.location, 'a folder that can be read', async () => {
      // What was never written to holds no checkpoints.
      if (!(await isThere(this.location))) return [];
      for (let attempt = 1; ; attempt++) {
        const { names, isWhole } = await this.#look();
        // Another run may have removed one while this one looked, after it has saved one that came too late to be seen.
        if (isWhole || attempt === ATTEMPTS) return names;
      }
    });
  }

  async begin(): Promise<CheckpointDraft> {
    const lease = this.#lease.held;
    const name = this.#temporaryName('draft');
    const path = join(lease?.path ?? this.location, name);
    await this.#changing(lease, this.location, async () => {
      if (lease === null) await makeFolder(this.location);
      await this.#removeLeftovers();
      await mkdir(path);
    });
    return {
      create: file => {
        requirePlain(file);
        return this.#changing(lease, path, () => fileSink(join(path, file)));
      },
      file: file =>
        this.#changing(lease, path, async () => {
          const source = await fileIn(path, file);
          if (source === null && lease?.isLost) throw await lease.loss();
          return source;
        }),
      commit: wished =>
        this.#changing(lease, this.location, async () => {
          await syncFolder(path);
          const free = await this.#moveIn(path, wished);
          await syncFolder(this.location);
          this.#inUse.delete(name);
          return free;
        }),
      discard: async () => {
        await rm(path, { recursive: true, force: true }).catch(() => {});
        this.#inUse.delete(name);
      },
    };
  }

  async open(name: string): Promise<StoredCheckpoint> {
    const path = join(this.location, name);
    const found = isVisible(name) && (await storing(path, 'a folder that can be read', () => isThere(path)));
    if (!found) throw noSuchCheckpoint(name, await this.list(), this.location);
    return {
      name,
      file: async file => {
        const source = await fileIn(path, file);
        if (source !== null || (await isThere(path))) return source;
        throw removedMeanwhile(name, this.location);
      },
    };
  }

  async remove(name: string): Promise<void> {
    const path = join(this.location, name);
    if (!isVisible(name)) return;
    const lease = this.#lease.held;
    await this.#changing(lease, path, () => this.#removeFolder(path, lease?.path));
  }

  /** The checkpoints, and whether all folders that were seen were still there when they were looked into. */
  async #look(): Promise<{ readonly names: readonly string[]; readonly isWhole: boolean }> {
    const names: string[] = [];
    let isWhole = true;
    for (const entry of await readdir(this.location, { withFileTypes: true })) {
      if (!entry.isDirectory() || entry.name.startsWith('.')) continue;
      const path = join(this.location, entry.name);
      if (await isThere(join(path, FILES.manifest))) names.push(entry.name);
      else if (!(await isThere(path))) isWhole = false;
    }
    return { names, isWhole };
  }

  /** Runs what changes the folder; what fails as the lease is lost says that. */
  async #changing<T>(lease: FolderLease | null, path: string, operate: () => Promise<T>): Promise<T> {
    try {
      return await storing(path, WRITABLE, operate);
    } catch (error) {
      throw lease?.isLost ? await lease.loss() : error;
    }
  }

  /**
   * Hides a folder first: one that is half removed must not look like a checkpoint, nor become one.
   *
   * @param aside Where it goes: into the lease, so that whoever has lost that removes nothing.
   */
  async #removeFolder(path: string, aside = this.location): Promise<void> {
    const name = this.#temporaryName('removed');
    const hidden = join(aside, name);
    try {
      await rename(path, hidden);
      // Before its files go: after a power cut it must not have its name again without them.
      await syncFolder(this.location);
      await rm(hidden, { recursive: true, force: true });
    } catch (error) {
      // Somebody else was faster, unless it is still there and has nowhere to go.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT' || (await isThere(path))) throw error;
    } finally {
      this.#inUse.delete(name);
    }
  }

  /** A name for a folder that is not, or no longer, a checkpoint. */
  #temporaryName(purpose: 'draft' | 'removed'): string {
    const name = temporaryName(purpose, this.#owner);
    this.#inUse.add(name);
    return name;
  }

  /** Removes what crashed processes left behind, and nothing that another one may be writing. */
  async #removeLeftovers(): Promise<void> {
    for (const name of await readdir(this.location)) {
      const [, purpose, owner] = TEMPORARY.exec(name) ?? [];
      if (purpose === undefined || this.#inUse.has(name)) continue;
      const path = join(this.location, name);
      if (purpose === 'draft' && owner !== this.#owner && (await isFresh(path))) continue;
      // One that cannot be removed, as it is another user's, is no reason not to save.
      await this.#removeFolder(path).catch(() => {});
    }
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
  if (!(await storing(path, 'a file that can be read', () => isThere(path)))) return null;
  try {
    return await fileSource(path);
  } catch (error) {
    // Removed since.
    if (error instanceof CheckpointStorageError && error.fault === 'missing') return null;
    throw error;
  }
}

function requirePlain(file: string): void {
  if (isPlainName(file)) return;
  throw new CheckpointStorageError('in-the-way', { parameter: 'file', found: file, expected: 'a plain file name' });
}

/** Names of this store and, with the number of a process for an owner, those of earlier versions. */
const TEMPORARY = /^\.(draft|removed)-([0-9a-f]+)-[0-9a-f]{12}$/;
/** A draft in which nothing was written for this long belongs to a process that is gone. */
const STALE = 3600 * 1000;

/** How often to look for checkpoints while another run removes some of them. */
const ATTEMPTS = 100;

/** Names of checkpoints: no paths, and not what is hidden. */
function isVisible(name: string): boolean {
  return name !== '' && name === basename(name) && !name.startsWith('.');
}

/** Whether somebody may be writing there: a large file is written into long after its folder was last changed. */
async function isFresh(path: string): Promise<boolean> {
  try {
    const files = (await stat(path)).isDirectory() ? await readdir(path) : [];
    for (const each of [path, ...files.map(file => join(path, file))]) {
      if (Date.now() - (await stat(each)).mtimeMs < STALE) return true;
    }
    return false;
  } catch {
    // It is gone, or on its way.
    return true;
  }
}
