import { InvalidCheckpointError } from '../errors.js';

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
