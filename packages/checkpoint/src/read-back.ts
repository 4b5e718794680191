import { InvalidCheckpointError } from './bytes.js';
import { FILES } from './manifest.js';
import { SafetensorsReader } from './safetensors.js';
import { SavedCheckpoint } from './saved-checkpoint.js';
import type { CheckpointDraft } from './stores.js';

/**
 * Makes a draft a checkpoint, after opening it as a reader would: what would be passed over later is an error now, while
 * the checkpoints before it are still there. Manifest, headers, and the length of each file are read; the bytes between
 * are what the medium took.
 *
 * @returns The name it got.
 * @throws InvalidCheckpointError if the draft is no checkpoint that can be read.
 */
export async function commitReadBack(draft: CheckpointDraft, wished: string): Promise<string> {
  const saved = await SavedCheckpoint.from({ name: `the draft of ${wished}`, file: name => draft.file(name) });
  for (const [name, { bytes }] of Object.entries(saved.manifest.files)) {
    const source = await draft.file(name);
    if (source === null) throw complaint(`${saved.name}/${name}`, 'no such file', 'what was just written');
    try {
      if (source.size !== bytes)
        throw complaint(source.label, `${source.size} bytes`, `the ${bytes} that were written`);
      if (bytes > 0) await source.read(bytes - 1, 1);
      if (name === FILES.model || name === FILES.optimizer) await SafetensorsReader.open(source);
    } finally {
      await source.close();
    }
  }
  return draft.commit(wished);
}

function complaint(parameter: string, found: string, expected: string): InvalidCheckpointError {
  const advice = 'Something else removes or changes files there: save again, or elsewhere.';
  return new InvalidCheckpointError({ parameter, found, expected, advice });
}
