import { type ByteSource, type Crc32, InvalidCheckpointError, requireInside } from './bytes.js';
import { crcText, type FileSeal } from './manifest.js';

/** A part of a file can be checked without the rest of it, except for what its first and last piece hold besides. */
const PIECE = 2 ** 18;
/** Bytes that are read at a time; a whole number of pieces. */
const CHUNK = 2 ** 22;

/** The CRC-32 of a file up to the beginning of each piece, and up to its end. */
export type Checksums = Float64Array;

/**
 * Reads a file once and compares it with its seal.
 *
 * @returns What its parts can be checked with when they are read again.
 * @throws InvalidCheckpointError naming the file.
 */
export async function verifyFile(source: ByteSource, seal: FileSeal, crc32: Crc32): Promise<Checksums> {
  requireSize(source, seal);
  const { bytes } = seal;
  const checksums = new Float64Array(Math.ceil(bytes / PIECE) + 1);
  for (let at = 0; at < bytes; at += CHUNK) {
    const chunk = await source.read(at, Math.min(CHUNK, bytes - at));
    for (let begin = 0; begin < chunk.byteLength; begin += PIECE) {
      const piece = (at + begin) / PIECE;
      checksums[piece + 1] = crc32(chunk.subarray(begin, begin + PIECE), checksums[piece]!);
    }
  }
  requireCrc(source.label, checksums.at(-1)!, seal);
  return checksums;
}

/**
 * A whole file, compared with its seal.
 *
 * @throws InvalidCheckpointError naming the file.
 */
export async function readVerified(source: ByteSource, seal: FileSeal, crc32: Crc32): Promise<Uint8Array> {
  requireSize(source, seal);
  const bytes = await source.read(0, source.size);
  requireCrc(source.label, extend(0, bytes, crc32), seal);
  return bytes;
}

/**
 * A file whose every read is checked: the bytes it hands out are those that were verified, whatever happened to the file
 * since. Closing it closes the file.
 *
 * @param checksums Of {@link verifyFile}.
 */
export function verifiedSource(source: ByteSource, seal: FileSeal, checksums: Checksums, crc32: Crc32): ByteSource {
  requireSize(source, seal);
  const { label, size } = source;
  return {
    label,
    size,
    read: async (offset, length) => {
      requireInside(label, offset, length, size);
      if (length === 0) return new Uint8Array(0);
      const end = offset + length;
      const [first, last] = [Math.floor(offset / PIECE), Math.ceil(end / PIECE)];
      // Three reads, so that a large tensor is not copied out of what its pieces hold besides.
      const before = await source.read(first * PIECE, offset - first * PIECE);
      const bytes = await source.read(offset, length);
      const after = await source.read(end, Math.min(last * PIECE, size) - end);
      let crc = checksums[first]!;
      for (const part of [before, bytes, after]) crc = extend(crc, part, crc32);
      if (crc === checksums[last]) return bytes;
      throw altered(`${label}: crc32 up to byte ${end + after.length}`, crcText(crc), crcText(checksums[last]!));
    },
    close: () => source.close(),
  };
}

/** Continues a CRC-32, as much at a time as any implementation takes. */
function extend(before: number, bytes: Uint8Array, crc32: Crc32): number {
  let crc = before;
  for (let at = 0; at < bytes.byteLength; at += CHUNK) crc = crc32(bytes.subarray(at, at + CHUNK), crc);
  return crc;
}

function requireSize({ label, size }: ByteSource, { bytes }: FileSeal): void {
  if (size !== bytes) throw altered(label, `${size} bytes`, `${bytes}`);
}

function requireCrc(label: string, crc: number, seal: FileSeal): void {
  if (crcText(crc) !== seal.crc32) throw altered(`${label}: crc32`, crcText(crc), seal.crc32);
}

/** What is said of a checkpoint whose files are not those of its manifest. */
export function altered(parameter: string, found: string, expected: string): InvalidCheckpointError {
  return new InvalidCheckpointError({
    parameter,
    found,
    expected,
    advice: 'The checkpoint was altered after it was saved; take another one.',
  });
}
