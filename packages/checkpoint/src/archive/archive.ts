import { copyBytes, partOf } from '../bytes/copy.js';
import type { ByteSink } from '../bytes/sink.js';
import type { ByteSource } from '../bytes/source.js';
import { FILES, isPlainName } from '../checkpoint/files.js';
import { SavedCheckpoint } from '../checkpoint/saved-checkpoint.js';
import { InvalidCheckpointError } from '../errors.js';
import type { CheckpointStore } from '../store/store.js';
import { BLOCK, parseTarHeader, tarHeader } from './tar-header.js';

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
    return await draft.commit(saved.name);
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
