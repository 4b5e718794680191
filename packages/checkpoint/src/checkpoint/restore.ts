import { type Json, requireKnownKeys } from '@frugaljs/core';
import { dispose, type Tensor, tensor, type Variable } from '@tensorflow/tfjs-core';
import { CheckpointMismatchError, type Difference, InvalidCheckpointError } from '../errors.js';
import type { SafetensorsReader } from '../safetensors/reader.js';
import type { TensorInfo } from '../safetensors/tensor-info.js';
import { differencesOf } from './differences.js';
import { FILES } from './files.js';
import { fittingState } from './fitting-state.js';
import type { Manifest, SavedComposition } from './manifest.js';
import { currentRuntime, runtimeWarning } from './runtime.js';
import { compositionOf, type NamedTensor, type SavableOptimizer } from './savable-optimizer.js';

/** What of a checkpoint is restored from: a `SavedCheckpoint`. */
export interface RestoreSource extends Pick<Manifest, 'step' | 'metric'> {
  readonly name: string;
  readonly manifest: Manifest;
  trainer(): Promise<Json>;
  openModel(): Promise<SafetensorsReader>;
  openOptimizer(): Promise<SafetensorsReader | null>;
}

/** What a checkpoint is loaded into. */
export interface RestoreTarget {
  /** Variables by Hugging Face name: `model.parameters()`. */
  readonly model: Readonly<Record<string, Variable>>;
  /** Omit it to load the weights alone. */
  readonly optimizer?: SavableOptimizer;
  /** Keep what fits where model or composition changed, instead of an error. Default false. */
  readonly partial?: boolean;
  /** Further differences that the caller knows of, such as other data; they count like those that are found here. */
  readonly differences?: readonly Difference[];
  /**
   * Says of a difference between the compositions whether it is none, as a schedule that gave the same rates for all
   * updates that were made. Default: they all count.
   */
  readonly accept?: (difference: Difference) => boolean;
}

/** What was loaded. */
export interface RestoreReport {
  /** Updates made when the checkpoint was saved. */
  readonly step: number;
  readonly metric: number | null;
  /** What the trainer saved. */
  readonly trainer: Json;
  /** One line each: another backend or kernel set. */
  readonly warnings: readonly string[];
  /** Where model and composition differ from those saved, and what the caller knew of; empty unless `partial`. */
  readonly differences: readonly Difference[];
  /** Parameters whose weights were loaded. */
  readonly loaded: readonly string[];
  /** Parameters that keep the weights they had: the checkpoint has none of that name and shape. */
  readonly untouched: readonly string[];
  /** Variables whose optimizer state was loaded. */
  readonly keptState: readonly string[];
  /** Variables whose saved optimizer state was left out, and why. */
  readonly droppedState: readonly { readonly variable: string; readonly reason: string }[];
}

type Composition = Omit<SavedComposition, 'order'>;

/** What chooses kernels is no part of what an optimizer computes; another kernel set is a warning. */
const NOT_COMPARED = ['kernels'];
const READ_AS_FLOAT = ['F32', 'F16', 'BF16', 'F64'];

/** See `SavedCheckpoint.restore`; the files are verified by now. */
export async function restoreInto(saved: RestoreSource, target: RestoreTarget): Promise<RestoreReport> {
  requireKnownKeys('restore', target, ['model', 'optimizer', 'partial', 'differences', 'accept']);
  const { model, optimizer, partial = false, accept = () => false } = target;
  const trainer = await saved.trainer();
  const weights = await saved.openModel();
  const state = optimizer === undefined ? null : await saved.openOptimizer().catch(closing(weights));
  try {
    const now = optimizer === undefined ? null : compositionOf(optimizer, model);
    const modelDifferences = compareModel(weights.tensors, model);
    const found = compareComposition(saved.manifest.optimizer, now).filter(difference => !accept(difference));
    const differences = [...modelDifferences, ...found, ...(target.differences ?? [])];
    if (differences.length > 0 && !partial) throw mismatch(saved.name, differences);

    const changed = new Set(modelDifferences.map(({ path }) => path));
    const runtime = currentRuntime(now?.composition);
    const warning = now === null ? null : runtimeWarning(saved.name, saved.manifest.runtime, runtime);
    let stateReport: Pick<RestoreReport, 'keptState' | 'droppedState'> = { keptState: [], droppedState: [] };
    if (optimizer !== undefined && state !== null && saved.manifest.optimizer !== null) {
      const variables = new Set([...changed].map(name => model[name]?.name ?? name));
      const seedChanged = found.some(({ path }) => path === 'seed');
      const names = saved.manifest.optimizer.order;
      requireSameNames(saved.name, names, state.tensors);
      const fitting =
        differences.length === 0 ? null : fittingState(names, saved.manifest.optimizer, now!, variables, seedChanged);
      await loadState(state, optimizer, fitting === null ? names : names.filter(name => fitting.entries.has(name)));
      const all = [...new Set(names.map(name => name.slice(0, name.lastIndexOf('::'))))].filter(name => name !== '');
      stateReport = { keptState: fitting?.kept ?? all, droppedState: fitting?.dropped ?? [] };
    }
    const loaded = Object.keys(model).filter(name => !changed.has(name));
    for (const name of loaded) await loadWeights(weights, name, model[name]!);
    return {
      step: saved.step,
      metric: saved.metric,
      trainer,
      warnings: warning === null ? [] : [warning],
      differences,
      loaded,
      untouched: Object.keys(model).filter(name => changed.has(name)),
      ...stateReport,
    };
  } finally {
    await weights.close();
    await state?.close();
  }
}

/** Parameters that are missing, superfluous, or of another shape or type. */
function compareModel(saved: ReadonlyMap<string, TensorInfo>, model: Readonly<Record<string, Variable>>): Difference[] {
  const names = new Set([...saved.keys(), ...Object.keys(model)]);
  return [...names].flatMap(name => {
    const before = saved.get(name);
    const after = Object.hasOwn(model, name) ? model[name]! : undefined;
    const saw = before === undefined ? 'nothing' : `${before.dtype} [${before.shape}]`;
    const now = after === undefined ? 'nothing' : `${after.dtype} [${after.shape}]`;
    const fits = before !== undefined && after !== undefined && `${before.shape}` === `${after.shape}`;
    return fits && mayHold(after.dtype, before.dtype) ? [] : [{ path: name, saved: saw, now }];
  });
}

function mayHold(variable: string, saved: string): boolean {
  if (variable === 'float32') return READ_AS_FLOAT.includes(saved);
  return (variable === 'int32' && saved === 'I32') || (variable === 'bool' && saved === 'BOOL');
}

function compareComposition(saved: SavedComposition | null, now: Composition | null): Difference[] {
  if (now === null) return [];
  if (saved === null) return [{ path: 'optimizer', saved: 'nothing', now: 'an optimizer' }];
  return differencesOf(saved.composition, now.composition).filter(({ path }) => !NOT_COMPARED.includes(path));
}

async function loadWeights(weights: SafetensorsReader, name: string, variable: Variable): Promise<void> {
  const data = variable.dtype === 'float32' ? await weights.readFloat32(name) : (await weights.read(name)).data;
  const value = tensor(data as Float32Array, variable.shape, variable.dtype);
  variable.assign(value);
  value.dispose();
}

async function loadState(
  state: SafetensorsReader,
  optimizer: SavableOptimizer,
  names: readonly string[],
): Promise<void> {
  const tensors: NamedTensor[] = [];
  try {
    for (const name of names) tensors.push({ name, tensor: await readTensor(state, name) });
    await optimizer.setWeights(tensors);
  } finally {
    dispose(tensors.map(({ tensor: each }) => each));
  }
}

function requireSameNames(checkpoint: string, names: readonly string[], tensors: ReadonlyMap<string, unknown>): void {
  const listed = new Set(names);
  if (listed.size === names.length && listed.size === tensors.size && names.every(name => tensors.has(name))) return;
  throw new InvalidCheckpointError({
    parameter: `${checkpoint}/${FILES.optimizer}`,
    found: `${tensors.size} tensors`,
    expected: `the ${names.length} that the manifest lists`,
    advice: 'The checkpoint was altered.',
  });
}

async function readTensor(reader: SafetensorsReader, name: string): Promise<Tensor> {
  const { dtype, shape, data } = await reader.read(name);
  if (data instanceof Float32Array) return tensor(data, [...shape], 'float32');
  if (data instanceof Int32Array) return tensor(data, [...shape], 'int32');
  if (dtype === 'BOOL') return tensor(data as Uint8Array, [...shape], 'bool');
  throw new InvalidCheckpointError({ parameter: name, found: dtype, expected: 'F32, I32 or BOOL' });
}

function mismatch(name: string, differences: readonly Difference[]): CheckpointMismatchError {
  return new CheckpointMismatchError(
    {
      parameter: name,
      found: `${differences.length} difference${differences.length === 1 ? '' : 's'}`,
      expected: 'the model and composition it was saved from',
      advice: 'Restore the settings, or ask for a partial restore, which keeps what fits.',
    },
    differences,
  );
}

function closing(reader: SafetensorsReader): (error: unknown) => Promise<never> {
  return async error => {
    await reader.close();
    throw error;
  };
}
