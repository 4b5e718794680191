import { InvalidCheckpointError } from '../errors.js';

/** Tar files are made of blocks of this size. */
export const BLOCK = 512;

/** What a header of POSIX.1-1988 tar (ustar) says that matters here. */
export interface TarEntry {
  readonly name: string;
  readonly size: number;
  /** `0`: a file; `5`: a folder; `x` and `g`: more about the next entry, or about all. */
  readonly type: string;
}

const [NAME, SIZE, CHECKSUM, TYPE, MAGIC] = [0, 124, 148, 156, 257];
const NAME_LENGTH = 100;
const SIZE_LENGTH = 12;
const CHECKSUM_LENGTH = 8;

/** The header of a file. */
export function tarHeader(name: string, size: number): Uint8Array {
  const encoded = new TextEncoder().encode(name);
  if (encoded.byteLength > NAME_LENGTH || size >= 8 ** (SIZE_LENGTH - 1)) {
    throw new InvalidCheckpointError({
      parameter: name,
      found: `${encoded.byteLength} letters and ${size} bytes`,
      expected: `at most ${NAME_LENGTH} letters and 8 GiB, which a tar file can hold`,
      advice: 'Copy the folder instead.',
    });
  }
  const header = new Uint8Array(BLOCK);
  const put = (offset: number, text: string): void => header.set(new TextEncoder().encode(text), offset);
  header.set(encoded, NAME);
  put(100, '0000644\0');
  put(108, '0000000\0');
  put(116, '0000000\0');
  put(SIZE, `${size.toString(8).padStart(SIZE_LENGTH - 1, '0')}\0`);
  put(136, '00000000000\0');
  put(TYPE, '0');
  put(MAGIC, 'ustar\x0000');
  put(CHECKSUM, `${checksumOf(header).toString(8).padStart(6, '0')}\0 `);
  return header;
}

/**
 * Reads a header; null for the empty block at the end.
 *
 * @throws InvalidCheckpointError for anything else that is no header.
 */
export function parseTarHeader(header: Uint8Array, label: string): TarEntry | null {
  if (header.every(byte => byte === 0)) return null;
  const text = (offset: number, length: number): string =>
    new TextDecoder().decode(header.subarray(offset, offset + length)).replace(/\0[\s\S]*$/, '');
  const octal = (offset: number, length: number): number => {
    const digits = text(offset, length).trim();
    return /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
  };
  const size = octal(SIZE, SIZE_LENGTH);
  if (text(MAGIC, 5) !== 'ustar' || octal(CHECKSUM, CHECKSUM_LENGTH) !== checksumOf(header) || Number.isNaN(size)) {
    throw new InvalidCheckpointError({
      parameter: label,
      found: 'a damaged header',
      expected: 'a tar file of one checkpoint',
      advice: 'The file was altered or is no archive of a checkpoint.',
    });
  }
  return { name: text(NAME, NAME_LENGTH), size, type: text(TYPE, 1) || '0' };
}

/** The sum of all bytes, with spaces in the place of the checksum. */
function checksumOf(header: Uint8Array): number {
  let sum = 0;
  header.forEach((byte, i) => {
    sum += i >= CHECKSUM && i < CHECKSUM + CHECKSUM_LENGTH ? 0x20 : byte;
  });
  return sum;
}
