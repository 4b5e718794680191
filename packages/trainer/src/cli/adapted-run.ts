import { rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Lora, type LoraOptions, peftFiles, Relora, rewarmed } from '@frugaljs/adapters';
import { writeSafetensors } from '@frugaljs/checkpoint';
import { fileSink, makeFolder } from '@frugaljs/checkpoint/node';
import type { ComposedOptimizer } from '@frugaljs/composer';
import { InvalidOptionError, type Json, type Schedule } from '@frugaljs/core';
import type { LlamaForCausalLM } from '@frugaljs/llama';
import type { Tensor, Variable } from '@tensorflow/tfjs-core';
import type { TrainingRequest } from './train-command.js';

/** What of a request is about adapters. */
export type AdapterRequest = Pick<
  TrainingRequest,
  'lora' | 'loraAlpha' | 'loraTargets' | 'relora' | 'reloraWarmup' | 'warmupStart' | 'seed'
>;

/** The rank of adapters where `--relora` comes without `--lora`: PEFT's. */
const RANK = 8;

/** Options of the adapters that a request asks for; null for a run that trains the weights. */
export function loraOptions(request: Omit<AdapterRequest, 'warmupStart' | 'reloraWarmup'>): LoraOptions | null {
  const { lora, loraAlpha, loraTargets, relora, seed } = request;
  if (lora === undefined && relora === undefined) return null;
  const targetModules = loraTargets?.split(',').map(name => name.trim());
  return {
    r: lora ?? RANK,
    ...(loraAlpha !== undefined && { loraAlpha }),
    ...(targetModules !== undefined && { targetModules }),
    seed,
  };
}

/**
 * The request of a run with adapters, whose optimizer is AdamW unless another one is named.
 *
 * @param given Names of the options that were given on the command line.
 * @param resumed Whether the run goes on from a checkpoint, and if so whether that is one with adapters.
 * @throws InvalidOptionError for options that make no sense together.
 */
export function adaptedRequest(
  request: TrainingRequest,
  given: ReadonlySet<string>,
  resumed: { readonly hadAdapters: boolean } | null,
): TrainingRequest {
  const { lora, relora, reloraWarmup, resume } = request;
  if (relora === undefined) requireAdapter(request, ['loraAlpha', 'loraTargets'], 'lora');
  requireAdapter(request, ['reloraWarmup'], 'relora');
  if (lora === undefined && relora === undefined) return request;
  if (relora !== undefined && reloraWarmup !== undefined && reloraWarmup >= relora) {
    throw new InvalidOptionError({
      parameter: 'relora-warmup',
      found: reloraWarmup,
      expected: `fewer updates than the ${relora} between two merges`,
    });
  }
  if (resumed?.hadAdapters === false) {
    throw new InvalidOptionError({
      parameter: lora === undefined ? 'relora' : 'lora',
      found: `a run without adapters to go on from (--resume ${resume})`,
      expected: 'a new run, or one that has adapters',
      advice: `To adapt the weights of that run, start from a checkpoint of it: --weights ${resume}/step-…`,
    });
  }
  return resumed === null && !given.has('optimizer') ? { ...request, optimizer: 'adamW' } : request;
}

/** @throws InvalidOptionError for an option about adapters in a request that does not ask for any. */
export function requireAdapter<Request extends object>(
  request: Request,
  options: readonly (keyof Request & string)[],
  needed: keyof Request & string,
): void {
  const lonely = options.find(option => request[option] !== undefined);
  if (request[needed] !== undefined || lonely === undefined) return;
  const flag = lonely.replace(/[A-Z]/g, letter => `-${letter.toLowerCase()}`);
  throw new InvalidOptionError({
    parameter: flag,
    found: `--${flag} without --${needed}`,
    expected: `a run with --${needed}`,
    advice: `Add --${needed}, or leave --${flag} out.`,
  });
}

/** The schedule of a run, which with `--relora` is warmed up again after each merge. */
export function adaptedSchedule(request: AdapterRequest, schedule: Schedule): Schedule {
  const { relora: every, warmupStart } = request;
  if (every === undefined) return schedule;
  return rewarmed({ schedule, every, warmup: request.reloraWarmup ?? Math.floor(every / 10), warmupStart });
}

/** A model with adapters, as training and checkpoints see it. */
export interface AdaptedRun {
  readonly lora: Lora;
  /** The weights, which are frozen, and the adapters. */
  parameters(): Readonly<Record<string, Variable>>;
  /** Merges where it is time to; with `--relora` only. */
  readonly beforeUpdate?: () => Promise<boolean>;
}

/** Puts adapters on a model; null if the request asks for none. */
export function adapt(
  request: AdapterRequest,
  model: LlamaForCausalLM,
  optimizer: ComposedOptimizer,
): AdaptedRun | null {
  const options = loraOptions(request);
  if (options === null) return null;
  const lora = new Lora(model, options);
  try {
    const { relora: every } = request;
    const relora = every === undefined ? null : new Relora(lora, optimizer, { every });
    const parameters = { ...model.parameters(), ...lora.parameters() };
    return { lora, parameters: () => parameters, ...(relora && { beforeUpdate: () => relora.beforeUpdate() }) };
  } catch (error) {
    lora.unload();
    throw error;
  }
}

/** What makes a run with adapters another one, for a checkpoint to compare. */
export function adapterIdentity({ lora }: AdaptedRun, { relora }: AdapterRequest): { readonly [key: string]: Json } {
  const { r, loraAlpha, modules } = lora.config;
  return { r: r, loraAlpha: loraAlpha, modules: modules, relora: relora ?? null };
}

/**
 * Writes what a run with adapters leaves behind: in `merged` a model as transformers saves it, and in `adapter` what PEFT
 * puts on the model that the run began with. After merges there is no adapter for that model. What was there of an earlier
 * end of the run is replaced.
 *
 * @param texts More files of the model, its `config.json` among them.
 * @returns What is where, in a line.
 */
export async function saveAdapted(
  folder: string,
  { lora, beforeUpdate }: AdaptedRun,
  baseModel: string | undefined,
  texts: Readonly<Record<string, string>>,
): Promise<string> {
  const merged = join(folder, 'merged');
  await saveWeights(merged, lora.model, texts, name => lora.merged(name));
  const where = `The model with its adapters merged is in ${merged}`;
  if (beforeUpdate !== undefined) return `${where}.`;
  const adapter = join(folder, 'adapter');
  const files = await peftFiles(lora, baseModel === undefined ? {} : { baseModel });
  await replaceFolder(adapter, async at => {
    for (const [name, bytes] of Object.entries(files)) await writeFile(join(at, name), bytes);
  });
  return `${where}, the adapter for PEFT in ${adapter}.`;
}

/**
 * Saves the average of the weights that an optimizer keeps, while the model holds it.
 *
 * @param texts The files beside the weights, by name.
 * @returns Where it is, in a sentence.
 */
export async function saveAveraged(
  folder: string,
  model: LlamaForCausalLM,
  texts: Readonly<Record<string, string>>,
): Promise<string> {
  const averaged = join(folder, 'averaged');
  await saveWeights(averaged, model, texts, name => model.parameters()[name]!.clone());
  return `The average of the weights, which was evaluated, is in ${averaged}; checkpoints have those in training.`;
}

/**
 * A folder that transformers opens.
 *
 * @param weight Makes the tensor of a name. They are written one by one: a second model may have no room beside the first.
 */
async function saveWeights(
  path: string,
  model: Pick<LlamaForCausalLM, 'parameters'>,
  texts: Readonly<Record<string, string>>,
  weight: (name: string) => Tensor,
): Promise<void> {
  await replaceFolder(path, async at => {
    for (const [name, text] of Object.entries(texts)) await writeFile(join(at, name), text);
    const sink = await fileSink(join(at, 'model.safetensors'));
    try {
      const tensors = Object.entries(model.parameters()).map(([name, { shape }]) => ({
        ...{ name, dtype: 'F32' as const, shape },
        data: async () => {
          const tensor = weight(name);
          try {
            // A copy: some backends hand out their memory, which is no longer the tensor's once it is disposed.
            return (await tensor.data<'float32'>()).slice();
          } finally {
            tensor.dispose();
          }
        },
      }));
      await writeSafetensors(sink, tensors, { format: 'pt' });
    } finally {
      await sink.close();
    }
  });
}

/** Fills a folder beside the old one before it takes its place. */
async function replaceFolder(path: string, fill: (path: string) => Promise<void>): Promise<void> {
  const partial = `${path}.partial`;
  await rm(partial, { recursive: true, force: true });
  await makeFolder(partial);
  await fill(partial);
  await rm(path, { recursive: true, force: true });
  await rename(partial, path);
}
