import { crc32 } from '../bytes/crc32.js';
import { writeSafetensors } from '../safetensors/writer.js';
import type { CheckpointStore } from '../store/store.js';
import { FILES } from './files.js';
import { type FileSeal, FORMAT, type Manifest, manifestText, VERSION } from './manifest.js';
import { SealedSink } from './sealed-sink.js';
import type { Snapshot } from './snapshot.js';

/** What transformers wants to find in a file of weights. */
const METADATA: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  [FILES.model]: { format: 'pt' },
  [FILES.optimizer]: { format: 'frugaljs' },
};
const STEP_DIGITS = 6;

/**
 * Writes a snapshot into a draft and commits it. If anything fails, the draft is removed and the store is as before.
 *
 * @returns The name the checkpoint got, and its manifest.
 */
export async function writeCheckpoint(
  store: CheckpointStore,
  snapshot: Snapshot,
  sequence: number,
): Promise<{ name: string; manifest: Manifest }> {
  const draft = await store.begin();
  try {
    const files: Record<string, FileSeal> = {};
    const write = async (name: string, fill: (sink: SealedSink) => Promise<void>): Promise<void> => {
      const sink = new SealedSink(await draft.create(name), store.crc32 ?? crc32);
      try {
        await fill(sink);
      } finally {
        await sink.close();
      }
      files[name] = sink.seal;
    };
    for (const [name, tensors] of Object.entries(snapshot.safetensors)) {
      await write(name, sink => writeSafetensors(sink, tensors, METADATA[name]));
    }
    for (const [name, text] of Object.entries(snapshot.texts)) await write(name, sink => sink.write(bytesOf(text)));
    const { step, metric, runtime, optimizer } = snapshot;
    const manifest = { format: FORMAT, version: VERSION, step, sequence, metric, runtime, optimizer, files };
    const sink = await draft.create(FILES.manifest);
    try {
      await sink.write(bytesOf(manifestText(manifest)));
    } finally {
      await sink.close();
    }
    const name = await draft.commit(`step-${`${step}`.padStart(STEP_DIGITS, '0')}`);
    return { name, manifest };
  } catch (error) {
    await draft.discard();
    throw error;
  }
}

function bytesOf(text: string | Uint8Array): Uint8Array {
  return typeof text === 'string' ? new TextEncoder().encode(text) : text;
}
