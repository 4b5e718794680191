import { backendTraits, InvalidOptionError, type Json, requireInteger, requireKnownKeys } from '@frugaljs/core';
import { Tensor } from '@tensorflow/tfjs-core';
import { toExactJson } from '../json/exact-json.js';
import type { Dtype, TensorData } from '../safetensors/dtype.js';
import type { TensorToWrite } from '../safetensors/tensor-info.js';
import { FILES, isPlainName } from './files.js';
import type { Runtime, SavedComposition } from './manifest.js';
import { currentRuntime } from './runtime.js';
import type { SavableOptimizer } from './savable-optimizer.js';
import { compositionOf } from './savable-optimizer.js';

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
  readonly texts: Readonly<Record<string, string | Uint8Array>>;
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
  const texts: Record<string, string | Uint8Array> = { ...files };
  if (config !== undefined) texts[FILES.config] = `${JSON.stringify(config as Json, null, 2)}\n`;
  if (trainer !== undefined) texts[FILES.trainer] = toExactJson(trainer, 'save.trainer');
  const safetensors: Record<string, readonly TensorToWrite[]> = {};
  const composition = optimizer === undefined ? null : compositionOf(optimizer, model);
  safetensors[FILES.model] = await takeTensors(Object.entries(model), copy);
  const weights = (await optimizer?.getWeights()) ?? [];
  if (optimizer !== undefined) {
    const named = weights.map(({ name, tensor }) => [name, tensor] as const);
    safetensors[FILES.optimizer] = await takeTensors(named, copy);
  }
  return {
    step,
    // JSON has no form for a metric that overflowed, and such a checkpoint is not the best one anyway.
    metric: metric !== null && Number.isFinite(metric) ? metric : null,
    runtime: currentRuntime(composition?.composition),
    optimizer: composition === null ? null : { ...composition, order: weights.map(({ name }) => name) },
    safetensors,
    texts,
  };
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
