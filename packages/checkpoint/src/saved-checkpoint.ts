import { type Complaint, FrugalError, type Json, requireInteger, requireKnownKeys } from '@frugaljs/core';
import { dispose, type Tensor, tensor, type Variable } from '@tensorflow/tfjs-core';
import { type ByteSource, bytesSource, type Crc32, crc32, InvalidCheckpointError } from './bytes.js';
import { fromExactJson, LARGEST_FILE, parseBoundedJson } from './json.js';
import {
  crcText,
  FILES,
  type FileSeal,
  type Manifest,
  parseManifest,
  type Runtime,
  readManifestBytes,
  type SavedComposition,
} from './manifest.js';
import {
  type Composition,
  compositionOf,
  currentRuntime,
  type FittingState,
  fittingState,
  type NamedTensor,
  type SavableOptimizer,
  SETTING,
  trainedVariables,
} from './optimizer-state.js';
import { SafetensorsReader, type TensorInfo } from './safetensors.js';
import type { CheckpointStore, StoredCheckpoint } from './stores.js';
import { altered, type Checksums, readVerified, verifiedSource, verifyFile } from './verified-source.js';

/** A checkpoint in a store, opened for reading. Holds no open file between calls. */
export class SavedCheckpoint {
  /** Of the files that were verified: what is read of them later is checked with these. */
  readonly #checksums = new Map<string, Checksums>();

  private constructor(
    private readonly stored: StoredCheckpoint,
    private readonly crc32: Crc32,
    private readonly manifestSeal: FileSeal,
    /** What the checkpoint says about itself. */
    readonly manifest: Manifest,
  ) {}

  /**
   * Opens a checkpoint; reads its manifest only.
   *
   * @throws InvalidCheckpointError if it is incomplete, CheckpointVersionError if it is of another version.
   */
  static async open(store: CheckpointStore, name: string): Promise<SavedCheckpoint> {
    return SavedCheckpoint.from(await store.open(name), store.crc32);
  }

  /** As {@link open}, of a checkpoint that is in no store. */
  static async from(stored: StoredCheckpoint, checksum: Crc32 = crc32): Promise<SavedCheckpoint> {
    const { name } = stored;
    const source = await stored.file(FILES.manifest);
    if (source === null) {
      throw new InvalidCheckpointError({
        parameter: name,
        found: `no ${FILES.manifest}`,
        expected: 'a complete checkpoint',
        advice: 'It is no checkpoint, or files were taken out of it.',
      });
    }
    try {
      const bytes = await readManifestBytes(source);
      const seal = { bytes: bytes.byteLength, crc32: crcText(checksum(bytes, 0)) };
      return new SavedCheckpoint(stored, checksum, seal, parseManifest(bytes, source.label));
    } finally {
      await source.close();
    }
  }

  get name(): string {
    return this.stored.name;
  }

  /** Updates made when it was saved. */
  get step(): number {
    return this.manifest.step;
  }

  get metric(): number | null {
    return this.manifest.metric;
  }

  /**
   * Reads all files once and compares their lengths and CRC-32 with the manifest. What is read of them afterwards is
   * compared too, so that a file that is altered in between is not loaded.
   *
   * @throws InvalidCheckpointError naming the file.
   */
  async verify(): Promise<void> {
    for (const [name, seal] of Object.entries(this.manifest.files)) {
      this.#checksums.set(name, await this.#with(name, source => verifyFile(source, seal, this.crc32)));
    }
  }

  /** What the trainer saved; null if it saved nothing. */
  async trainer(): Promise<Json> {
    const json = await this.json(FILES.trainer);
    return json === null ? null : fromExactJson(json);
  }

  /** The model's configuration; null if there is none. */
  async config(): Promise<Json> {
    return this.json(FILES.config);
  }

  /** A file of JSON; null if there is none of that name. */
  async json(name: string): Promise<Json> {
    const bytes = await this.file(name);
    return bytes === null ? null : parseBoundedJson(bytes, `${this.name}/${name}`);
  }

  /**
   * A whole file, checked; for small ones.
   *
   * @returns Null if there is none of that name.
   * @throws InvalidCheckpointError if it was altered or has more than 64 MiB.
   */
  async file(name: string): Promise<Uint8Array | null> {
    const seal = this.#seal(name);
    if (seal === null) return null;
    return this.#with(name, async source => {
      if (source.size > LARGEST_FILE) throw altered(source.label, `${source.size} bytes`, `at most ${LARGEST_FILE}`);
      return readVerified(source, seal, this.crc32);
    });
  }

  /** Opens the model's weights, verified; close the reader afterwards. */
  async openModel(): Promise<SafetensorsReader> {
    return this.#reader(FILES.model);
  }

  /** Opens the optimizer's state, verified; null if none was saved. Close the reader afterwards. */
  async openOptimizer(): Promise<SafetensorsReader | null> {
    if (this.#seal(FILES.optimizer) === null) return null;
    return this.#reader(FILES.optimizer);
  }

  /**
   * Puts model and optimizer back to where they were, bit for bit. Everything is verified and compared before anything
   * changes, also what {@link verify} has seen before. Files that fit into `holdBytes` are read once, and loaded from
   * memory; of the others, the bytes that are loaded are compared once more while they are read.
   *
   * @throws CheckpointMismatchError showing the differences, unless `partial` is set.
   * @throws InvalidCheckpointError if a file was cut off or altered. If that happens to one that is not held while it is
   *   being loaded, weights that were loaded before are as they were saved, and the others as they were.
   */
  async restore(target: RestoreTarget): Promise<RestoreReport> {
    requireKnownKeys('restore', target, ['model', 'optimizer', 'partial', 'differences', 'accept', 'holdBytes']);
    const { model, optimizer, partial = false, accept = () => false, holdBytes = HELD } = target;
    requireInteger('restore.holdBytes', holdBytes, 0);
    const { step, metric, manifest } = this;
    const wanted = optimizer === undefined ? [FILES.model] : [FILES.model, FILES.optimizer];
    const held = await this.#verifyAndHold(wanted, holdBytes);
    const trainer = await this.trainer();
    const weights = await this.#reader(FILES.model, held.get(FILES.model));
    const hasState = optimizer !== undefined && this.#seal(FILES.optimizer) !== null;
    const state = hasState
      ? await this.#reader(FILES.optimizer, held.get(FILES.optimizer)).catch(closing(weights))
      : null;
    try {
      const now = optimizer === undefined ? null : compositionOf(optimizer, model);
      const modelDifferences = compareModel(weights.tensors, model);
      const found = compareComposition(manifest.optimizer, now).filter(difference => !accept(difference));
      const differences = [...modelDifferences, ...found, ...(target.differences ?? [])];
      if (differences.length > 0 && !partial) throw mismatch(this.name, differences);

      const changed = new Set(modelDifferences.map(({ path }) => path));
      const warning =
        now === null ? null : runtimeWarning(this.name, manifest.runtime, currentRuntime(now.composition));
      let fitting: FittingState = { names: [], kept: [], dropped: [] };
      if (optimizer !== undefined && state !== null && manifest.optimizer !== null) {
        const { order } = manifest.optimizer;
        requireSameNames(this.name, order, state.tensors);
        const variables = new Set([...changed].map(name => model[name]?.name ?? name));
        const seedChanged = found.some(({ path }) => path === SETTING.seed);
        fitting =
          differences.length === 0
            ? { names: order, kept: trainedVariables(order), dropped: [] }
            : fittingState(order, manifest.optimizer, now!, variables, seedChanged);
        await loadState(state, optimizer, fitting.names);
      }
      const loaded = Object.keys(model).filter(name => !changed.has(name));
      for (const name of loaded) await loadWeights(weights, name, model[name]!);
      return {
        step,
        metric,
        trainer,
        warnings: warning === null ? [] : [warning],
        differences,
        loaded,
        untouched: Object.keys(model).filter(name => changed.has(name)),
        keptState: fitting.kept,
        droppedState: fitting.dropped,
      };
    } finally {
      await weights.close();
      await state?.close();
    }
  }

  /**
   * Opens a file, the manifest included; close it afterwards. It is verified first if it was not before, and what is read
   * is the bytes that were verified.
   *
   * @throws InvalidCheckpointError if it was altered; so does a read, if that happens later.
   */
  async source(name: string): Promise<ByteSource> {
    const seal = name === FILES.manifest ? this.manifestSeal : this.#seal(name);
    const source = await this.#file(name);
    try {
      if (seal === null) throw altered(this.name, name, 'a file of its manifest');
      const checksums = this.#checksums.get(name) ?? (await verifyFile(source, seal, this.crc32));
      this.#checksums.set(name, checksums);
      return verifiedSource(source, seal, checksums, this.crc32);
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  /** Verifies all files; of those wanted, as many as fit into the limit stay in memory. */
  async #verifyAndHold(wanted: readonly string[], limit: number): Promise<ReadonlyMap<string, Uint8Array>> {
    const held = new Map<string, Uint8Array>();
    let room = limit;
    for (const [name, seal] of Object.entries(this.manifest.files)) {
      await this.#with(name, async source => {
        if (!wanted.includes(name) || source.size > room) {
          this.#checksums.set(name, await verifyFile(source, seal, this.crc32));
          return;
        }
        room -= source.size;
        held.set(name, await readVerified(source, seal, this.crc32));
      });
    }
    return held;
  }

  async #reader(name: string, held?: Uint8Array): Promise<SafetensorsReader> {
    const source = held === undefined ? await this.source(name) : bytesSource(held, `${this.name}/${name}`);
    try {
      return await SafetensorsReader.open(source);
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  /** A file as it lies in the store. */
  async #file(name: string): Promise<ByteSource> {
    const source = await this.stored.file(name);
    if (source === null) throw altered(this.name, `no ${name}`, 'every file of its manifest');
    return source;
  }

  #seal(name: string): FileSeal | null {
    return Object.hasOwn(this.manifest.files, name) ? this.manifest.files[name]! : null;
  }

  async #with<T>(name: string, read: (source: ByteSource) => Promise<T>): Promise<T> {
    const source = await this.#file(name);
    try {
      return await read(source);
    } finally {
      await source.close();
    }
  }
}

/** Bytes of files that are held in memory while they are loaded, unless asked otherwise. */
const HELD = 2 ** 29;

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
  /**
   * How many bytes of files to hold in memory, so that each is read once and nothing can fail between the first weights
   * and the last. Larger files are read twice, a tensor at a time. Default 512 MiB.
   */
  readonly holdBytes?: number;
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

const READ_AS_FLOAT = ['F32', 'F16', 'BF16', 'F64'];

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
  // What chooses kernels is no part of what an optimizer computes; another kernel set is a warning. The factor on the
  // learning rate changes during a run: it is restored with the state.
  const left: readonly string[] = [SETTING.kernels, SETTING.learningRateScale];
  return differencesOf(saved.composition, now.composition).filter(({ path }) => !left.includes(path));
}

/** A sentence for a checkpoint from another runtime; null where bits repeat. */
function runtimeWarning(name: string, saved: Runtime, now: Runtime): string | null {
  if (now.backend === saved.backend && now.kernels === saved.kernels) return null;
  const sentence = ({ backend, kernels }: Runtime): string => `${backend} (kernels: ${kernels})`;
  return (
    `${name} was saved on ${sentence(saved)} and goes on on ${sentence(now)}: ` +
    'the run continues, but rounds differently and will not repeat the uninterrupted one bit for bit.'
  );
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

/** A place where a checkpoint and what it is loaded into differ. */
export interface Difference {
  /** Such as `groups[0].use.options.rule.options.beta1`, or the name of a parameter. */
  readonly path: string;
  /** As JSON; `nothing` where it is absent. */
  readonly saved: string;
  readonly now: string;
}

const SHOWN_DIFFERENCES = 12;

/** The checkpoint belongs to another model or composition. Nothing was loaded. */
export class CheckpointMismatchError extends FrugalError {
  /** All of them; the message shows the first twelve. */
  readonly differences: readonly Difference[];

  constructor(complaint: Complaint, differences: readonly Difference[]) {
    super('checkpoint-mismatch', complaint);
    this.name = 'CheckpointMismatchError';
    this.differences = differences;
    const lines = differences
      .slice(0, SHOWN_DIFFERENCES)
      .map(({ path, saved, now }) => `  ${path}: saved ${saved}, now ${now}`);
    const more = differences.length - lines.length;
    if (more > 0) lines.push(`  and ${more} more`);
    this.message = [this.message, ...lines].join('\n');
  }
}

const LONGEST = 120;

/** Where two JSON values differ, leaf by leaf; the order of keys plays no part. */
export function differencesOf(saved: Json | undefined, now: Json | undefined, path = ''): Difference[] {
  if (saved === now) return [];
  if (isList(saved) && isList(now)) {
    const length = Math.max(saved.length, now.length);
    return Array.from({ length }, (_, i) => differencesOf(saved[i], now[i], `${path}[${i}]`)).flat();
  }
  if (isObject(saved) && isObject(now)) {
    const keys = [...new Set([...Object.keys(saved), ...Object.keys(now)])];
    return keys.flatMap(key => differencesOf(own(saved, key), own(now, key), path === '' ? key : `${path}.${key}`));
  }
  return [{ path, saved: show(saved), now: show(now) }];
}

type JsonObject = { readonly [key: string]: Json | undefined };

function own(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function show(value: Json | undefined): string {
  if (value === undefined) return 'nothing';
  const text = JSON.stringify(value);
  return text.length <= LONGEST ? text : `${text.slice(0, LONGEST)}…`;
}
