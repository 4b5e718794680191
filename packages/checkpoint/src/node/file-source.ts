import { type FileHandle, open } from 'node:fs/promises';
import { type ByteSource, requireInside } from '../bytes/source.js';
import { storing } from './storage-error.js';

/** Most bytes of one read: the system call takes less than 2 GiB. */
const LONGEST_READ = 2 ** 30;

/**
 * Opens a file as a source.
 *
 * @throws CheckpointStorageError if it cannot be opened.
 */
export async function fileSource(path: string): Promise<ByteSource> {
  return storing(path, 'a file that can be read', async () => {
    const file = await open(path, 'r');
    try {
      const { size } = await file.stat();
      return new FileSource(path, file, size);
    } catch (error) {
      await file.close();
      throw error;
    }
  });
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
