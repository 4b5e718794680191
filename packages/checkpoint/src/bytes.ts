import { type Complaint, FrugalError } from '@frugaljs/core';

/** Bytes that can be read piece by piece: a file, a Blob, an array. */
export interface ByteSource {
  /** What it is called in messages. */
  readonly label: string;
  readonly size: number;
  /**
   * Reads exactly `length` bytes.
   *
   * @returns An array of the caller's own that starts at offset 0 of its buffer, so that any typed array can view it.
   * @throws InvalidCheckpointError when the bytes are not there.
   */
  read(offset: number, length: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Frees what the source holds. */
  close(): Promise<void>;
}

/** Where bytes go, one chunk after the other. */
export interface ByteSink {
  /** Writes all of the chunk. The chunk may be used again once the promise has resolved. */
  write(chunk: Uint8Array): Promise<void>;
  /** Ends the file; afterwards it is as durable as the place allows. */
  close(): Promise<void>;
}

/** Bytes are not what they should be: truncated, altered, or never a checkpoint. Nothing was loaded. */
export class InvalidCheckpointError extends FrugalError {
  constructor(complaint: Complaint) {
    super('invalid-checkpoint', complaint);
    this.name = 'InvalidCheckpointError';
  }
}

/** An array as a source; reading copies. */
export function bytesSource(bytes: Uint8Array, label = 'bytes'): ByteSource {
  return {
    label,
    size: bytes.byteLength,
    read: async (offset, length) => {
      requireInside(label, offset, length, bytes.byteLength);
      return new Uint8Array(bytes.subarray(offset, offset + length));
    },
    close: async () => {},
  };
}

/** A Blob or File as a source; only what is read is loaded. */
export function blobSource(blob: Blob, label = 'blob'): ByteSource {
  return {
    label,
    size: blob.size,
    read: async (offset, length) => {
      requireInside(label, offset, length, blob.size);
      return new Uint8Array(await blob.slice(offset, offset + length).arrayBuffer());
    },
    close: async () => {},
  };
}

/** A part of a source as a source; closing it leaves the whole open. */
export function partOf(whole: ByteSource, label: string, begin: number, size: number): ByteSource {
  return {
    label,
    size,
    read: async (offset, length) => {
      requireInside(label, offset, length, size);
      return whole.read(begin + offset, length);
    },
    close: async () => {},
  };
}

/** Checks that a range lies in a source. */
export function requireInside(label: string, offset: number, length: number, size: number): void {
  if (offset >= 0 && length >= 0 && offset + length <= size) return;
  throw new InvalidCheckpointError({
    parameter: label,
    found: `${size} bytes`,
    expected: `at least ${offset + length}`,
    advice: 'The file is cut off.',
  });
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

/**
 * Gathers small writes into chunks of one size and hands those on, so that a file of many small tensors costs few
 * operations of the medium. Writes at least as large as a chunk pass without a copy unless `exact` is asked for.
 */
export class ChunkedSink implements ByteSink {
  readonly #buffer: Uint8Array;
  #filled = 0;

  /**
   * @param put Writes a chunk; must not keep it.
   * @param exact Whether every chunk but the last must have exactly `size` bytes.
   */
  constructor(
    private readonly put: (chunk: Uint8Array) => Promise<void>,
    private readonly finish: () => Promise<void>,
    size: number,
    private readonly exact = false,
  ) {
    this.#buffer = new Uint8Array(size);
  }

  async write(chunk: Uint8Array): Promise<void> {
    const size = this.#buffer.byteLength;
    let at = 0;
    while (at < chunk.byteLength) {
      const left = chunk.byteLength - at;
      if (this.#filled === 0 && left >= size) {
        const whole = this.exact ? size : left;
        await this.put(chunk.subarray(at, at + whole));
        at += whole;
        continue;
      }
      const taken = Math.min(left, size - this.#filled);
      this.#buffer.set(chunk.subarray(at, at + taken), this.#filled);
      this.#filled += taken;
      at += taken;
      if (this.#filled === size) await this.#flush();
    }
  }

  async close(): Promise<void> {
    if (this.#filled > 0) await this.#flush();
    await this.finish();
  }

  async #flush(): Promise<void> {
    await this.put(this.#buffer.subarray(0, this.#filled));
    this.#filled = 0;
  }
}

const CHUNK = 2 ** 22;

/** Copies a source into a sink, a few megabytes at a time. */
export async function copyBytes(source: ByteSource, sink: ByteSink): Promise<void> {
  for (let at = 0; at < source.size; at += CHUNK) {
    await sink.write(await source.read(at, Math.min(CHUNK, source.size - at)));
  }
}

/** Continues the CRC-32 of what came before (0 for nothing) over more bytes. */
export type Crc32 = (bytes: Uint8Array, before: number) => number;

const POLYNOMIAL = 0xedb88320;
const LANES = 8;

/** `TABLES[k][b]`: the CRC of byte b followed by k zero bytes. */
const TABLES: readonly Int32Array[] = makeTables();

/**
 * CRC-32 of ISO 3309 (that of zip and zlib), eight bytes at a time.
 *
 * @param before The CRC of the bytes before these; 0 for none.
 */
export function crc32(bytes: Uint8Array, before = 0): number {
  const [t0, t1, t2, t3, t4, t5, t6, t7] = TABLES as unknown as [
    ...[Int32Array, Int32Array, Int32Array, Int32Array],
    ...[Int32Array, Int32Array, Int32Array, Int32Array],
  ];
  let crc = ~before;
  let at = 0;
  for (const end = bytes.length - LANES; at <= end; at += LANES) {
    crc =
      t7[(crc ^ bytes[at]!) & 255]! ^
      t6[((crc >>> 8) ^ bytes[at + 1]!) & 255]! ^
      t5[((crc >>> 16) ^ bytes[at + 2]!) & 255]! ^
      t4[(crc >>> 24) ^ bytes[at + 3]!]! ^
      t3[bytes[at + 4]!]! ^
      t2[bytes[at + 5]!]! ^
      t1[bytes[at + 6]!]! ^
      t0[bytes[at + 7]!]!;
  }
  for (; at < bytes.length; at++) crc = t0[(crc ^ bytes[at]!) & 255]! ^ (crc >>> 8);
  return ~crc >>> 0;
}

function makeTables(): Int32Array[] {
  const first = Int32Array.from({ length: 256 }, (_, byte) => {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    return crc;
  });
  const tables = [first];
  for (let lane = 1; lane < LANES; lane++) {
    const previous = tables[lane - 1]!;
    tables.push(previous.map(crc => first[crc & 255]! ^ (crc >>> 8)));
  }
  return tables;
}
