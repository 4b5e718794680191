// What a fixture holds, and the run that it cuts in two: one version trains the first half and saves it, another loads it
// and trains the second half. Only the public names of packages are imported here, so that any version can run this.
import { createHash } from 'node:crypto';
import '@frugaljs/backend-wasm';
import '@frugaljs/backend-wasm/cpu';
import '@tensorflow/tfjs-backend-cpu';
import {
  bytesSource,
  Checkpoints,
  type Manifest,
  MemorySink,
  MemoryStore,
  openArchive,
  writeArchive,
} from '@frugaljs/checkpoint';
import { type ComposedOptimizer, compose, compositionFromJson } from '@frugaljs/composer';
import type { Json } from '@frugaljs/core';
import {
  dispose,
  io,
  type NamedTensorMap,
  setBackend,
  type Tensor,
  tensor,
  type Variable,
  variable,
} from '@tensorflow/tfjs-core';
import * as tfl from '@tensorflow/tfjs-layers';

/** The backends that fixtures are written on; both have fused kernels. */
export const BACKENDS = ['wasm', 'cpu'] as const;

/** Fixtures that one version wrote on one backend. */
export interface FixtureFile {
  /** The commit that wrote them. */
  readonly writtenBy: string;
  readonly backend: string;
  readonly fixtures: readonly Fixture[];
}

export interface Fixture {
  readonly name: string;
  /** The recipe that the composition was made by, if any. */
  readonly recipe: { readonly name: string; readonly options: { readonly [key: string]: Json } } | null;
  /** The composition, as the version that wrote it puts it in JSON. */
  readonly composition: Json;
  readonly course: Course;
  /** Named variables, saved as a checkpoint. */
  readonly variables: { readonly archive: string } & Ending;
  /** A model of tf.layers, saved with its optimizer; null where the composition names the variables. */
  readonly model: ({ readonly artifacts: SavedModel } & Ending) | null;
}

/** Gradients of a run: how many, and what is wrong with some of them. */
export interface Course {
  /** Gradients before the save, and after it. */
  readonly before: number;
  readonly after: number;
  /** Rounds whose gradient has a NaN, for the policy `skip`. */
  readonly notFinite: readonly number[];
  /** Rounds in which every second variable gets no gradient. */
  readonly partial: readonly number[];
}

/** What the run arrives at. */
export interface Ending {
  /** Bits of every parameter, base64 of float32. */
  readonly parameters: Readonly<Record<string, string>>;
  /** Digests of the optimizer's tensors, by the name under which they are saved. */
  readonly state: Readonly<Record<string, string>>;
  /** Parameters that fused kernels train. */
  readonly fused: readonly string[];
}

export interface SavedModel {
  readonly modelTopology: object;
  readonly weightSpecs: io.WeightsManifestEntry[];
  readonly weightData: string;
  readonly trainingConfig: io.TrainingConfig;
}

/** No size fills the vectors of a kernel; names tell embeddings, norms and the output layer to the recipes. */
const SHAPES: Readonly<Record<string, readonly number[]>> = {
  'embed.weight': [6, 3],
  'layers.0.up.weight': [7, 6],
  'layers.0.down.weight': [9, 5],
  'layers.0.norm.weight': [7],
  'layers.1.up.weight': [5, 7],
  'layers.1.down.weight': [10, 3],
  'conv.kernel': [2, 3, 3],
  gain: [],
  'lm_head.weight': [3, 5],
};

export type Variables = Readonly<Record<string, Variable>>;

export function makeVariables(values: 'start' | 'other' = 'start'): Variables {
  return Object.fromEntries(
    Object.entries(SHAPES).map(([name, shape]) => {
      const start = tensor(numbersOf(`${values} of ${name}`, 0, sizeOf(shape)), [...shape]);
      const made = variable(start, true, name);
      start.dispose();
      return [name, made];
    }),
  );
}

/** A model of two layers. Its names occur once in a process, so that tf.layers leaves them as they are. */
export function makeModel(prefix: string): tfl.Sequential {
  const model = tfl.sequential({
    layers: [
      tfl.layers.dense({ units: 7, inputShape: [5], kernelInitializer: 'zeros', name: `${prefix}up` }),
      tfl.layers.dense({ units: 3, kernelInitializer: 'zeros', name: `${prefix}down` }),
    ],
  });
  const starts = model.weights.map(({ shape }, i) => {
    const sizes = shape as number[];
    return tensor(numbersOf('start of a model', i, sizeOf(sizes)), sizes);
  });
  model.setWeights(starts);
  dispose(starts);
  return model;
}

/** Gives an optimizer the gradients of some rounds. */
export function train(
  optimizer: ComposedOptimizer,
  variables: readonly { readonly name: string; readonly shape: readonly (number | null)[] }[],
  { notFinite, partial }: Course,
  from: number,
  to: number,
): void {
  for (let round = from; round < to; round++) {
    const gradients: NamedTensorMap = {};
    variables.forEach(({ name, shape }, i) => {
      if (partial.includes(round) && i % 2 === 1) return;
      // By position: tf.layers may rename a variable.
      const values = numbersOf(`gradient ${i}`, round, sizeOf(shape as number[]));
      if (notFinite.includes(round) && i === 0) values[1] = Number.NaN;
      gradients[name] = tensor(values, shape as number[]);
    });
    optimizer.applyGradients(gradients);
    dispose(gradients);
  }
}

/** Saves variables and optimizer as an archive of a checkpoint, and goes on in it. */
export async function saveCheckpoint(model: Variables, optimizer: ComposedOptimizer): Promise<Uint8Array> {
  const checkpoints = new Checkpoints({ store: new MemoryStore() });
  await checkpoints.save({ step: optimizer.updates, model, optimizer, trainer: { data: 3 } });
  await checkpoints.settled();
  const sink = new MemorySink();
  await writeArchive((await checkpoints.latest())!, sink);
  return sink.bytes();
}

/**
 * Restores an archive into variables and an optimizer made from the composition; trains the second half.
 *
 * @returns Besides where it arrived: what the archive says about itself, and what the same says, saved again.
 */
export async function continueCheckpoint({
  composition,
  course,
  variables,
}: Fixture): Promise<Ending & { manifests: [Manifest, Manifest] }> {
  // Other values, so that none can stay by luck.
  const model = makeVariables('other');
  const optimizer = compose(compositionFromJson(composition));
  try {
    const saved = await openArchive(bytesSource(fromBase64(variables.archive), 'archive'));
    const { warnings, trainer } = await saved.restore({ model, optimizer });
    if (warnings.length > 0) throw new Error(warnings.join('\n'));
    if (JSON.stringify(trainer) !== '{"data":3}')
      throw new Error(`trainer.json was read as ${JSON.stringify(trainer)}`);
    const again = await openArchive(bytesSource(await saveCheckpoint(model, optimizer), 'saved again'));
    train(optimizer, Object.values(model), course, course.before, course.before + course.after);
    return { ...(await endingOf(optimizer, Object.values(model))), manifests: [saved.manifest, again.manifest] };
  } finally {
    optimizer.dispose();
    dispose(Object.values(model));
  }
}

/** Saves a model with its optimizer as tf.layers does. */
export async function saveModel(model: tfl.Sequential): Promise<SavedModel> {
  let saved: io.ModelArtifacts | undefined;
  const handler = io.withSaveHandler(async artifacts => {
    saved = artifacts;
    return { modelArtifactsInfo: { dateSaved: new Date(0), modelTopologyType: 'JSON' } };
  });
  await model.save(handler, { includeOptimizer: true });
  const { modelTopology, weightSpecs, weightData, trainingConfig } = saved!;
  return {
    modelTopology: modelTopology as object,
    weightSpecs: weightSpecs!,
    weightData: toBase64(new Uint8Array(weightData as ArrayBuffer)),
    trainingConfig: trainingConfig!,
  };
}

/** Loads a saved model with its optimizer; trains the second half. */
export async function continueModel(
  { modelTopology, weightSpecs, weightData, trainingConfig }: SavedModel,
  course: Course,
): Promise<Ending> {
  const bytes = fromBase64(weightData);
  const data = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) as ArrayBuffer;
  const artifacts = { modelTopology, weightSpecs, weightData: data, trainingConfig };
  const model = (await tfl.loadLayersModel(io.fromMemory(artifacts))) as tfl.Sequential;
  const optimizer = model.optimizer as ComposedOptimizer;
  train(optimizer, model.weights, course, course.before, course.before + course.after);
  const ending = await modelEnding(model);
  optimizer.dispose();
  model.dispose();
  return ending;
}

export async function modelEnding(model: tfl.Sequential): Promise<Ending> {
  const weights = model.weights.map(weight => ({ name: weight.name, data: () => weight.read().data() }));
  return endingOf(model.optimizer as ComposedOptimizer, weights);
}

/** What a run has arrived at. */
export async function endingOf(
  optimizer: ComposedOptimizer,
  variables: readonly { readonly name: string; data(): Promise<ArrayBufferView> }[],
): Promise<Ending> {
  const parameters: Record<string, string> = {};
  for (const each of variables) parameters[each.name] = toBase64(bytesOf(await each.data()));
  const state: Record<string, string> = {};
  for (const { name, tensor } of await optimizer.getWeights()) state[name] = await digestOf(tensor);
  const rows = optimizer.explain();
  return {
    parameters,
    state,
    fused: rows.filter(({ kernel }) => kernel.startsWith('fused')).map(row => row.parameter),
  };
}

async function digestOf(value: Tensor): Promise<string> {
  const { dtype, shape } = value;
  const digest = createHash('sha256')
    .update(bytesOf(await value.data()))
    .digest('hex')
    .slice(0, 8);
  return `${dtype} [${shape}] ${digest}`;
}

/** Makes a backend the current one. */
export async function useBackend(name: string): Promise<void> {
  if (!(await setBackend(name))) throw new Error(`The backend ${name} did not start.`);
}

/**
 * Numbers from -1 to 1 by a hash of integers: float32 holds each exactly, and no engine, version or machine gives other
 * ones, as it may for sines and exponentials.
 */
function numbersOf(name: string, round: number, size: number): Float32Array {
  let seed = 0x811c9dc5 ^ round;
  for (const character of name) seed = Math.imul(seed ^ character.charCodeAt(0), 0x01000193);
  return Float32Array.from({ length: size }, (_, i) => {
    let bits = Math.imul(seed ^ Math.imul(i + 1, 0x9e3779b1), 0x85ebca6b);
    bits = Math.imul(bits ^ (bits >>> 13), 0xc2b2ae35);
    bits ^= bits >>> 16;
    return ((bits >>> 8) - 2 ** 23) / 2 ** 23;
  });
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((product, axis) => product * axis, 1);
}

function bytesOf({ buffer, byteOffset, byteLength }: ArrayBufferView): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
}

export function fromBase64(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, 'base64'));
}
