/** Where bytes go, one chunk after the other. */
export interface ByteSink {
  /** Writes all of the chunk. The chunk may be used again once the promise has resolved. */
  write(chunk: Uint8Array): Promise<void>;
  /** Ends the file; afterwards it is as durable as the place allows. */
  close(): Promise<void>;
}

/** Collects what is written; for tests and small files. */
export class MemorySink implements ByteSink {
  #bytes = new Uint8Array(0);
  #length = 0;

  async write(chunk: Uint8Array): Promise<void> {
    const needed = this.#length + chunk.byteLength;
    if (needed > this.#bytes.byteLength) {
      const grown = new Uint8Array(Math.max(needed, 2 * this.#bytes.byteLength));
      grown.set(this.#bytes.subarray(0, this.#length));
      this.#bytes = grown;
    }
    this.#bytes.set(chunk, this.#length);
    this.#length = needed;
  }

  async close(): Promise<void> {}

  /** What was written so far. */
  bytes(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }
}

/** Collects what is written in a Blob, which a browser may keep on disk: for downloads. */
export class BlobSink implements ByteSink {
  readonly #parts: Blob[] = [];

  async write(chunk: Uint8Array): Promise<void> {
    this.#parts.push(new Blob([chunk as Uint8Array<ArrayBuffer>]));
  }

  async close(): Promise<void> {}

  /** What was written so far. */
  blob(): Blob {
    return new Blob(this.#parts);
  }
}
