import { type ByteSink, type ByteSource, copyBytes, InvalidCheckpointError, partOf } from './bytes.js';
import { FILES, isPlainName } from './manifest.js';
import { commitReadBack } from './read-back.js';
import { SavedCheckpoint } from './saved-checkpoint.js';
import type { CheckpointStore } from './stores.js';

/** More entries than any checkpoint has. */
const MOST_ENTRIES = 1000;

/**
 * Writes a checkpoint as one tar file, for a download: unpacking it gives the folder that Node saves, byte for byte.
 * Does not close the sink.
 *
 * @throws InvalidCheckpointError if the checkpoint was altered, before anything is written.
 */
export async function writeArchive(saved: SavedCheckpoint, sink: ByteSink): Promise<void> {
  await saved.verify();
  for (const name of filesOf(saved)) {
    const source = await saved.source(name);
    try {
      await sink.write(tarHeader(`${saved.name}/${name}`, source.size));
      await copyBytes(source, sink);
      await sink.write(new Uint8Array(padding(source.size)));
    } finally {
      await source.close();
    }
  }
  await sink.write(new Uint8Array(2 * BLOCK));
}

/**
 * Opens an archive where it lies: it can be restored from, or copied into a store. Keep the source open as long as the
 * checkpoint is used.
 *
 * @throws InvalidCheckpointError if it is no archive of one checkpoint.
 */
export async function openArchive(source: ByteSource): Promise<SavedCheckpoint> {
  const { label, size } = source;
  const files = new Map<string, ByteSource>();
  let folder: string | null = null;
  let at = 0;
  for (let entries = 0; at + BLOCK <= size; entries++) {
    const entry = parseTarHeader(await source.read(at, BLOCK), label);
    if (entry === null) break;
    at += BLOCK;
    if (entries === MOST_ENTRIES || at + entry.size > size) {
      throw complaint(label, `${entry.name} of ${entry.size} bytes at byte ${at} of ${size}`, 'entries that fit');
    }
    // Folders, and what other programs say about times and owners, are of no interest.
    if (entry.type === '0') {
      const [first, file, more] = entry.name.replace(/^\.\//, '').split('/');
      const fits = first && file && more === undefined && isPlainName(file) && (folder ?? first) === first;
      if (!fits || files.has(file)) throw complaint(label, entry.name, 'the files of one checkpoint, each once');
      folder = first;
      files.set(file, partOf(source, `${label}: ${entry.name}`, at, entry.size));
    }
    at += entry.size + padding(entry.size);
  }
  return SavedCheckpoint.from({ name: folder ?? label, file: async name => files.get(name) ?? null });
}

/**
 * Copies a checkpoint into a store, byte for byte, after verifying it.
 *
 * @returns The name it has there.
 */
export async function copyCheckpoint(saved: SavedCheckpoint, store: CheckpointStore): Promise<string> {
  await saved.verify();
  const draft = await store.begin();
  try {
    for (const name of filesOf(saved)) {
      const source = await saved.source(name);
      const sink = await draft.create(name);
      try {
        await copyBytes(source, sink);
      } finally {
        await sink.close();
        await source.close();
      }
    }
    return await commitReadBack(draft, saved.name);
  } catch (error) {
    await draft.discard();
    throw error;
  }
}

function filesOf(saved: SavedCheckpoint): readonly string[] {
  return [...Object.keys(saved.manifest.files), FILES.manifest];
}

/** Bytes from the end of a file to the next block. */
function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

function complaint(parameter: string, found: string, expected: string): InvalidCheckpointError {
  return new InvalidCheckpointError({ parameter, found, expected, advice: 'The archive was altered.' });
}

/** Tar files are made of blocks of this size. */
const BLOCK = 512;

/** What a header of POSIX.1-1988 tar (ustar) says that matters here. */
interface TarEntry {
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
function tarHeader(name: string, size: number): Uint8Array {
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
function parseTarHeader(header: Uint8Array, label: string): TarEntry | null {
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
