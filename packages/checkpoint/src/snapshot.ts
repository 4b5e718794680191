import {
  backendTraits,
  InvalidOptionError,
  NotSerializableError,
  requireInteger,
  requireKnownKeys,
} from '@frugaljs/core';
import { Tensor } from '@tensorflow/tfjs-core';
import { type ByteSink, type Crc32, crc32 } from './bytes.js';
import { requireReadable, toExactJson } from './json.js';
import {
  crcText,
  FILES,
  type FileSeal,
  FORMAT,
  isPlainName,
  LARGEST_MANIFEST,
  type Manifest,
  manifestText,
  type Runtime,
  type SavedComposition,
  VERSION,
} from './manifest.js';
import { compositionOf, currentRuntime, type SavableOptimizer } from './optimizer-state.js';
import { commitReadBack } from './read-back.js';
import { type Dtype, type TensorData, type TensorToWrite, writeSafetensors } from './safetensors.js';
import type { CheckpointStore } from './stores.js';

/** Everything that a run needs to go on. */
export interface TrainingState {
  /** Updates made. */
  readonly step: number;
  /** Tensors by Hugging Face name: `model.parameters()`. */
  readonly model: Readonly<Record<string, Tensor>>;
  /** The model's `config.json`. */
  readonly config?: object;
  readonly optimizer?: SavableOptimizer;
  /**
   * What the trainer needs: data position, schedule, settings, losses. Plain objects, arrays, text, booleans, null and
   * numbers; NaN, ±Infinity and -0 survive.
   */
  readonly trainer?: unknown;
  /** What `keepBest` goes by, such as the validation loss; lower is better. */
  readonly metric?: number | null;
  /** More files by name, such as a `tokenizer.json`. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>;
}

/** A training state taken out of the backend, or on its way: nothing in it changes when training goes on. */
export interface Snapshot {
  readonly step: number;
  readonly metric: number | null;
  readonly runtime: Runtime;
  readonly optimizer: SavedComposition | null;
  readonly safetensors: Readonly<Record<string, readonly TensorToWrite[]>>;
  readonly texts: Readonly<Record<string, Uint8Array>>;
}

const DTYPES: Readonly<Record<string, Dtype>> = { float32: 'F32', int32: 'I32', bool: 'BOOL' };

/**
 * Takes a snapshot. Everything that can be wrong with the state is found here, before anything is written.
 *
 * @param copy True: all tensors are copied to the host now. False: each is read when its turn comes, and must not
 *   change until then.
 */
export async function takeSnapshot(state: TrainingState, copy: boolean): Promise<Snapshot> {
  requireKnownKeys('save', state, ['step', 'model', 'config', 'optimizer', 'trainer', 'metric', 'files']);
  const { step, model, config, optimizer, trainer, metric = null, files = {} } = state;
  requireInteger('save.step', step, 0);
  if (metric !== null && typeof metric !== 'number') {
    throw new InvalidOptionError({ parameter: 'save.metric', found: metric, expected: 'a number or null' });
  }
  requireModel(model);
  requireExtraNames(files);
  const texts: Record<string, Uint8Array> = {};
  for (const [name, content] of Object.entries(files)) {
    texts[name] = bytesOf(content);
    requireReadable(texts[name], `save.files: ${name}`, false);
  }
  if (config !== undefined) {
    texts[FILES.config] = bytesOf(configText(config));
    requireReadable(texts[FILES.config]!, 'save.config', true);
  }
  if (trainer !== undefined) {
    texts[FILES.trainer] = bytesOf(toExactJson(trainer, 'save.trainer'));
    requireReadable(texts[FILES.trainer]!, 'save.trainer', true);
  }
  const safetensors: Record<string, readonly TensorToWrite[]> = {};
  const composition = optimizer === undefined ? null : compositionOf(optimizer, model);
  safetensors[FILES.model] = await takeTensors(Object.entries(model), copy);
  const weights = (await optimizer?.getWeights()) ?? [];
  const saved = composition === null ? null : { ...composition, order: weights.map(({ name }) => name) };
  // With a margin for the lines of the files.
  requireReadable(bytesOf(JSON.stringify([[saved]])), 'save.optimizer', true, LARGEST_MANIFEST / 2);
  if (optimizer !== undefined) {
    const named = weights.map(({ name, tensor }) => [name, tensor] as const);
    safetensors[FILES.optimizer] = await takeTensors(named, copy);
  }
  return {
    step,
    // JSON has no form for a metric that overflowed, and such a checkpoint is not the best one anyway.
    metric: metric !== null && Number.isFinite(metric) ? metric : null,
    runtime: currentRuntime(composition?.composition),
    optimizer: saved,
    safetensors,
    texts,
  };
}

function configText(config: object): string {
  let text: string | undefined;
  let found = 'something that has no form in JSON';
  try {
    text = JSON.stringify(config, null, 2);
  } catch (error) {
    found = (error as Error).message;
  }
  if (text !== undefined) return `${text}\n`;
  throw new NotSerializableError({ parameter: 'save.config', found, expected: 'an object of JSON' });
}

async function takeTensors(tensors: readonly (readonly [string, Tensor])[], copy: boolean): Promise<TensorToWrite[]> {
  const taken: TensorToWrite[] = [];
  const isCopied = !backendTraits().sharesMemory;
  for (const [name, tensor] of tensors) {
    const dtype = DTYPES[tensor.dtype];
    if (dtype === undefined) {
      throw new InvalidOptionError({
        parameter: `save: ${name}`,
        found: tensor.dtype,
        expected: 'float32, int32 or bool',
      });
    }
    const shape = [...tensor.shape];
    if (!copy) {
      taken.push({ name, dtype, shape, data: async () => (await tensor.data()) as TensorData });
      continue;
    }
    // The copy lives until it is written, and no longer.
    const read = (await tensor.data()) as TensorData;
    let data: TensorData | null = isCopied ? read : read.slice();
    const hand = (): TensorData => {
      const given = data!;
      data = null;
      return given;
    };
    taken.push({ name, dtype, shape, data: hand });
  }
  return taken;
}

function requireExtraNames(files: Readonly<Record<string, unknown>>): void {
  const own: readonly string[] = Object.values(FILES);
  for (const name of Object.keys(files)) {
    if (isPlainName(name) && !own.includes(name)) continue;
    throw new InvalidOptionError({
      parameter: 'save.files',
      found: name,
      expected: `a plain file name other than ${own.join(', ')}`,
    });
  }
}

function requireModel(model: TrainingState['model']): void {
  const isRecord = typeof model === 'object' && model !== null && !Array.isArray(model) && !(model instanceof Tensor);
  const wrong = isRecord ? Object.keys(model).find(name => !(model[name] instanceof Tensor)) : undefined;
  if (isRecord && wrong === undefined) return;
  throw new InvalidOptionError({
    parameter: wrong === undefined ? 'save.model' : `save.model.${wrong}`,
    found: wrong === undefined ? model : model[wrong],
    expected: wrong === undefined ? 'tensors by name, such as model.parameters()' : 'a tensor or variable',
  });
}

/** What transformers wants to find in a file of weights. */
const METADATA: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  [FILES.model]: { format: 'pt' },
  [FILES.optimizer]: { format: 'frugaljs' },
};
const STEP_DIGITS = 6;

/**
 * Writes a snapshot into a draft, reads it back and commits it. If anything fails, the draft is removed and the store is as before.
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
    for (const [name, text] of Object.entries(snapshot.texts)) await write(name, sink => sink.write(text));
    const { step, metric, runtime, optimizer } = snapshot;
    const manifest = { format: FORMAT, version: VERSION, step, sequence, metric, runtime, optimizer, files };
    const sink = await draft.create(FILES.manifest);
    try {
      await sink.write(bytesOf(manifestText(manifest)));
    } finally {
      await sink.close();
    }
    const name = await commitReadBack(draft, `step-${`${step}`.padStart(STEP_DIGITS, '0')}`);
    return { name, manifest };
  } catch (error) {
    await draft.discard();
    throw error;
  }
}

function bytesOf(text: string | Uint8Array): Uint8Array {
  return typeof text === 'string' ? new TextEncoder().encode(text) : text;
}

/** Between two slices of this size training gets a turn: a CRC-32 of more takes milliseconds. */
const SLICE = 2 ** 23;

/** Computes the seal of a file while it is written. */
class SealedSink implements ByteSink {
  #bytes = 0;
  #crc = 0;

  constructor(
    private readonly sink: ByteSink,
    private readonly crc32: Crc32,
  ) {}

  async write(chunk: Uint8Array): Promise<void> {
    for (let at = 0; at < chunk.byteLength; at += SLICE) {
      const slice = chunk.subarray(at, at + SLICE);
      this.#crc = this.crc32(slice, this.#crc);
      this.#bytes += slice.byteLength;
      await this.sink.write(slice);
    }
  }

  async close(): Promise<void> {
    await this.sink.close();
  }

  get seal(): FileSeal {
    return { bytes: this.#bytes, crc32: crcText(this.#crc) };
  }
}
