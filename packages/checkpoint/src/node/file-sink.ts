import { type FileHandle, open } from 'node:fs/promises';
import { ChunkedSink } from '../bytes/chunked-sink.js';
import type { ByteSink } from '../bytes/sink.js';
import { storing } from './storage-error.js';

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
