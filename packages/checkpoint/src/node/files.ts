import { constants, existsSync, type Stats, statSync } from 'node:fs';
import { type FileHandle, mkdir, open, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { type ByteSink, type ByteSource, ChunkedSink, InvalidCheckpointError, requireInside } from '../bytes.js';
import { CheckpointStorageError, type StorageFault } from '../stores.js';

/** Most bytes of one read: the system call takes less than 2 GiB. */
const LONGEST_READ = 2 ** 30;

// Opening a pipe waits for somebody who writes into it, without this for ever. Windows has neither.
const READ: number = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0);

/**
 * Opens a file as a source.
 *
 * @throws CheckpointStorageError if it cannot be opened; InvalidCheckpointError if it is a pipe, a folder, a device.
 */
export async function fileSource(path: string): Promise<ByteSource> {
  return storing(path, 'a file that can be read', async () => {
    // Before opening, as some devices act on that; and after it, as something else may lie there by then.
    requireRegular(path, await stat(path));
    const file = await open(path, READ);
    try {
      const found = await file.stat();
      requireRegular(path, found);
      return new FileSource(path, file, found.size);
    } catch (error) {
      await file.close();
      throw error;
    }
  });
}

function requireRegular(path: string, found: Stats): void {
  if (found.isFile()) return;
  const kind = found.isDirectory()
    ? 'a folder'
    : found.isFIFO()
      ? 'a pipe'
      : found.isSocket()
        ? 'a socket'
        : 'a device';
  throw new InvalidCheckpointError({ parameter: path, found: kind, expected: 'a regular file' });
}

class FileSource implements ByteSource {
  constructor(
    readonly label: string,
    private readonly file: FileHandle,
    readonly size: number,
  ) {}

  async read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>> {
    requireInside(this.label, offset, length, this.size);
    const bytes = new Uint8Array(length);
    let done = 0;
    while (done < length) {
      const wanted = Math.min(length - done, LONGEST_READ);
      const { bytesRead } = await storing(this.label, 'a file that can be read', () =>
        this.file.read(bytes, done, wanted, offset + done),
      );
      // The file became shorter while it was open.
      if (bytesRead === 0) requireInside(this.label, offset, length, offset + done);
      done += bytesRead;
    }
    return bytes;
  }

  async close(): Promise<void> {
    await this.file.close();
  }
}

const CHUNK = 2 ** 22;
const LONGEST_WRITE = 2 ** 30;

/**
 * Creates a file as a sink. Closing it waits until the bytes are on the disk.
 *
 * @throws CheckpointStorageError if the file exists, cannot be created or cannot be written.
 */
export async function fileSink(path: string): Promise<ByteSink> {
  const file = await storing(path, 'a new file', () => open(path, 'wx'));
  return new FileSink(path, file);
}

class FileSink implements ByteSink {
  readonly #chunks: ChunkedSink;
  #failed = false;

  constructor(
    private readonly path: string,
    private readonly file: FileHandle,
  ) {
    this.#chunks = new ChunkedSink(
      chunk => this.#put(chunk),
      () => this.file.sync(),
      CHUNK,
    );
  }

  async write(chunk: Uint8Array): Promise<void> {
    await this.#storing(() => this.#chunks.write(chunk));
  }

  async close(): Promise<void> {
    try {
      // After a failure the rest would not complete the file.
      if (!this.#failed) await this.#storing(() => this.#chunks.close());
    } finally {
      await this.file.close();
    }
  }

  async #put(chunk: Uint8Array): Promise<void> {
    let done = 0;
    while (done < chunk.byteLength) {
      const length = Math.min(chunk.byteLength - done, LONGEST_WRITE);
      const { bytesWritten } = await this.file.write(chunk, done, length);
      done += bytesWritten;
    }
  }

  async #storing(operate: () => Promise<void>): Promise<void> {
    try {
      await storing(this.path, 'room for a checkpoint', operate);
    } catch (error) {
      this.#failed = true;
      throw error;
    }
  }
}

/**
 * Whether there is something at a path.
 *
 * @throws What `stat` throws where that cannot be told: a disk that fails holds more than nothing.
 */
export async function isThere(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch (error) {
    if (ABSENT.includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

const ABSENT: readonly string[] = ['ENOENT', 'ENOTDIR', 'ELOOP', 'ENAMETOOLONG'];

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

const FAULTS: Readonly<Record<string, readonly [fault: StorageFault, found: string, advice: string]>> = {
  ENOSPC: ['full', 'a full disk', 'Free some space, keep fewer checkpoints, or save elsewhere.'],
  EDQUOT: ['full', 'an exhausted quota', 'Free some space, keep fewer checkpoints, or save elsewhere.'],
  EFBIG: ['full', 'a file too large for the file system', 'Save on another file system.'],
  EACCES: ['not-writable', 'no permission', 'Change the permissions of the folder, or take another one.'],
  EPERM: ['not-writable', 'no permission', 'Change the permissions of the folder, or take another one.'],
  EROFS: ['not-writable', 'a read-only file system', 'Save elsewhere.'],
  ENOTDIR: ['in-the-way', 'a file in the place of a folder', 'Move the file away, or take another folder.'],
  EEXIST: ['in-the-way', 'a file in the place of a folder', 'Move the file away, or take another folder.'],
  ENAMETOOLONG: ['in-the-way', 'a path that is too long', 'Take a shorter path.'],
  ENOENT: ['missing', 'nothing there', 'The folder was removed, or the path is misspelled.'],
  EMFILE: ['device', 'too many open files', 'Close some, or raise the limit of the process (ulimit -n).'],
  EIO: ['device', 'an input/output error', 'The disk may be failing: save elsewhere.'],
};

/** A failure of the file system as a typed error with advice; anything else as it is. */
function storageError(error: unknown, path: string, wanted: string): unknown {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  if (code === undefined || typeof (error as NodeJS.ErrnoException).syscall !== 'string') return error;
  const [fault, found, advice] = FAULTS[code] ?? ['device', code, ''];
  const complaint = { parameter: path, found: `${found} (${code})`, expected: wanted };
  return new CheckpointStorageError(fault, advice === '' ? complaint : { ...complaint, advice }, error);
}

/** Runs file operations; their failures become typed errors. */
export async function storing<T>(path: string, wanted: string, operate: () => Promise<T>): Promise<T> {
  try {
    return await operate();
  } catch (error) {
    throw storageError(error, path, wanted);
  }
}
