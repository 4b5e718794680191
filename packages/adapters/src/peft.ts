import {
  bytesSource,
  InvalidCheckpointError,
  MemorySink,
  SafetensorsReader,
  writeSafetensors,
} from '@frugaljs/checkpoint';
import { tensor } from '@tensorflow/tfjs-core';
import { type AdaptableModel, Lora, type LoraConfig, type LoraOptions, loraShapes } from './lora.js';

const CONFIG = 'adapter_config.json';
const WEIGHTS = 'adapter_model.safetensors';

/** What PEFT puts before the names of a model's modules. */
const PREFIX = 'base_model.model.';

/** The two files of an adapter's folder. */
export interface PeftFiles {
  readonly [CONFIG]: Uint8Array;
  readonly [WEIGHTS]: Uint8Array;
}

/**
 * An adapter as PEFT's `save_pretrained` writes it: `PeftModel.from_pretrained(base, folder)` reads the two files.
 *
 * @param baseModel Name or path of the base model, for the file of settings.
 */
export async function peftFiles(lora: Lora, { baseModel }: { readonly baseModel?: string } = {}): Promise<PeftFiles> {
  const tensors = Object.entries(lora.parameters()).map(([name, { shape }]) => ({
    name: PREFIX + name,
    dtype: 'F32' as const,
    shape,
  }));
  const data = await Promise.all(Object.values(lora.parameters()).map(part => part.data<'float32'>()));
  const sink = new MemorySink();
  await writeSafetensors(
    sink,
    tensors.map((part, i) => ({ ...part, data: data[i]! })),
    { format: 'pt' },
  );
  const config = configJson(lora, baseModel ?? null);
  return { [CONFIG]: new TextEncoder().encode(`${JSON.stringify(config, null, 2)}\n`), [WEIGHTS]: sink.bytes() };
}

export interface ReadPeftOptions {
  /**
   * 0: take an adapter that was trained with dropout. It computes the same; trained further, it is trained without.
   */
  readonly loraDropout?: 0;
  /** Seed of the restarts, should there be any (default 0). */
  readonly seed?: number;
}

/**
 * Puts an adapter that PEFT saved on a model, for further training or for {@link Lora.mergeAndUnload}. Everything is
 * checked before the model is touched.
 *
 * @param files The contents of `adapter_config.json` and `adapter_model.safetensors`; float16 and bfloat16 are widened.
 * @throws InvalidCheckpointError for an adapter of another kind, one with a part that is not supported, or tensors that do
 *   not fit the model, naming what it is.
 */
export async function loadPeft(model: AdaptableModel, files: PeftFiles, options: ReadPeftOptions = {}): Promise<Lora> {
  for (const name of [CONFIG, WEIGHTS] as const) requireBytes(name, files[name]);
  const config = readConfig(files[CONFIG], options);
  const weights = model.parameters();
  const shapes = loraShapes(
    model.linearLayers().map(name => ({ name, shape: weights[name]!.shape })),
    config,
  );
  const values = await readTensors(files[WEIGHTS]);
  requireFitting(shapes, values);
  const lora = new Lora(model, config);
  for (const [name, part] of Object.entries(lora.parameters())) {
    const value = tensor(values.get(PREFIX + name)!.data, part.shape);
    part.assign(value);
    value.dispose();
  }
  return lora;
}

/** Every key that PEFT's own reader has wanted at some time, so that any version reads it. */
function configJson({ config, model }: Lora, baseModel: string | null): object {
  return {
    alpha_pattern: {},
    auto_mapping: null,
    base_model_name_or_path: baseModel,
    bias: 'none',
    fan_in_fan_out: false,
    inference_mode: true,
    init_lora_weights: true,
    layers_pattern: null,
    layers_to_transform: null,
    lora_alpha: config.loraAlpha,
    lora_dropout: 0,
    modules_to_save: null,
    peft_type: 'LORA',
    r: config.r,
    rank_pattern: {},
    revision: null,
    target_modules: shortTargets(config, model),
    task_type: 'CAUSAL_LM',
    use_dora: false,
    use_rslora: config.useRslora,
  };
}

/** `q_proj`, `v_proj` … where that names the adapted modules and no others; else their full names. */
function shortTargets({ modules }: LoraConfig, model: AdaptableModel): readonly string[] {
  const last = (module: string): string => module.split('.').at(-1)!;
  const short = [...new Set(modules.map(last))].sort();
  const named = model.linearLayers().filter(name => short.includes(last(name.replace(/\.weight$/, ''))));
  return named.length === modules.length ? short : modules;
}

type Rule = (value: unknown) => string | null;

const anything: Rule = () => null;
/** A value that says that something is not in use, by which PEFT marks what an adapter does without. */
const isUnused = (value: unknown): boolean =>
  value === null || value === false || (typeof value === 'object' && Object.keys(value as object).length === 0);
const unused =
  (why: string): Rule =>
  value =>
    isUnused(value) ? null : why;
const oneOf =
  (values: readonly unknown[], why: string): Rule =>
  value =>
    values.includes(value) ? null : why;

/** What the keys of an `adapter_config.json` may say; null if it may, else why not. */
const RULES: Readonly<Record<string, Rule>> = {
  peft_type: oneOf(['LORA'], 'LORA, the only kind of adapter that is read'),
  // About the adapter's origin, or about what other keys switch on.
  ...{ auto_mapping: anything, base_model_name_or_path: anything, revision: anything, inference_mode: anything },
  ...{ megatron_core: anything, qalora_group_size: anything, peft_version: anything },
  task_type: oneOf(['CAUSAL_LM', null], 'CAUSAL_LM: other tasks have a head of their own'),
  // Read below.
  ...{ r: anything, lora_alpha: anything, use_rslora: anything, target_modules: anything, lora_dropout: anything },
  init_lora_weights: oneOf(
    [true, false, 'gaussian', 'orthogonal', 'eva'],
    'a way to initialize that leaves the base weights as they are',
  ),
  bias: oneOf(['none'], 'none: the layers have no biases to train'),
  fan_in_fan_out: oneOf([false], 'false: the weights are (out, in)'),
  use_dora: unused('false: magnitudes of DoRA are not supported'),
  modules_to_save: unused('null: modules that were trained in full are not supported'),
  rank_pattern: unused('none: all layers must have the rank r'),
  alpha_pattern: unused('none: all layers must have the scale lora_alpha / r'),
  exclude_modules: unused('null: name what is adapted in target_modules'),
  layers_to_transform: unused('null: name what is adapted in target_modules'),
  layers_pattern: unused('null: name what is adapted in target_modules'),
  layer_replication: unused('null: the model must have the layers of its configuration'),
};

/** @throws InvalidCheckpointError naming the key that is not as it must be. */
function readConfig(bytes: Uint8Array, { loraDropout, seed = 0 }: ReadPeftOptions): LoraOptions {
  const json = parsed(bytes);
  for (const [key, value] of Object.entries(json)) {
    const rule = Object.hasOwn(RULES, key) ? RULES[key]! : unused('a key that is known here, or is not in use');
    const expected = rule(value);
    if (expected !== null) throw refused(key, value, expected);
  }
  const { peft_type: kind, r, lora_alpha: loraAlpha, use_rslora: useRslora = false, target_modules: targets } = json;
  if (kind === undefined) throw refused('peft_type', undefined, 'LORA');
  if (!Number.isSafeInteger(r) || (r as number) < 1) throw refused('r', r, 'an integer of at least 1');
  if (typeof loraAlpha !== 'number' || !(loraAlpha > 0)) throw refused('lora_alpha', loraAlpha, 'a number above 0');
  if (typeof useRslora !== 'boolean') throw refused('use_rslora', useRslora, 'true or false');
  const { lora_dropout: dropout = 0 } = json;
  if (dropout !== 0 && loraDropout !== 0) {
    const advice = 'It acts in training only: to go on without, pass { loraDropout: 0 }.';
    throw refused('lora_dropout', dropout, '0, as dropout is not supported', advice);
  }
  return { r: r as number, loraAlpha, useRslora, targetModules: targetsFrom(targets), seed };
}

/** PEFT takes a list by the ends of names, and a text as an expression for whole names. */
function targetsFrom(targets: unknown): NonNullable<LoraOptions['targetModules']> {
  if (targets === 'all-linear') return targets;
  if (Array.isArray(targets) && targets.length > 0 && targets.every(each => typeof each === 'string')) return targets;
  if (typeof targets === 'string') {
    try {
      return new RegExp(`^(?:${targets})$`, 'u');
    } catch {
      throw refused('target_modules', targets, 'an expression that JavaScript reads too, or a list of names');
    }
  }
  throw refused('target_modules', targets, 'a list of names, or an expression');
}

function parsed(bytes: Uint8Array): Readonly<Record<string, unknown>> {
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    json = undefined;
  }
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Record<string, unknown>;
  throw new InvalidCheckpointError({ parameter: CONFIG, found: 'none', expected: 'an object of JSON' });
}

interface Values {
  readonly shape: readonly number[];
  readonly data: Float32Array;
}

async function readTensors(bytes: Uint8Array): Promise<ReadonlyMap<string, Values>> {
  const reader = await SafetensorsReader.open(bytesSource(bytes, WEIGHTS));
  try {
    const values = new Map<string, Values>();
    for (const [name, { shape }] of reader.tensors) values.set(name, { shape, data: await reader.readFloat32(name) });
    return values;
  } finally {
    await reader.close();
  }
}

/** Problems that a message lists. */
const LONGEST_LIST = 10;

/** @throws InvalidCheckpointError listing every missing, unknown and misshapen tensor, and those with NaN or Inf. */
function requireFitting(shapes: ReturnType<typeof loraShapes>, values: ReadonlyMap<string, Values>): void {
  const problems: string[] = [];
  for (const { name, shape } of shapes) {
    const found = values.get(PREFIX + name)?.shape;
    if (found === undefined) problems.push(`${PREFIX}${name} is missing`);
    else if (`${found}` !== `${shape}`) problems.push(`${PREFIX}${name} has shape [${found}], not [${shape}]`);
    else if (!values.get(PREFIX + name)!.data.every(Number.isFinite)) problems.push(`${PREFIX}${name} has NaN or Inf`);
  }
  const known = new Set(shapes.map(({ name }) => PREFIX + name));
  for (const name of values.keys()) if (!known.has(name)) problems.push(`${name} is none of them`);
  if (problems.length === 0) return;
  const more = problems.length - LONGEST_LIST;
  const listed = more > 0 ? [...problems.slice(0, LONGEST_LIST), `and ${more} more`] : problems;
  throw new InvalidCheckpointError({
    parameter: WEIGHTS,
    found: problems.length === 1 ? '1 problem' : `${problems.length} problems`,
    expected: `the ${shapes.length} tensors that ${CONFIG} asks for in this model`,
    advice: `${listed.join('; ')}. Is it the model that the adapter was trained on?`,
  });
}

function refused(key: string, found: unknown, expected: string, advice?: string): InvalidCheckpointError {
  return new InvalidCheckpointError({
    parameter: `${CONFIG}: ${key}`,
    found,
    expected,
    ...(advice !== undefined && { advice }),
  });
}

function requireBytes(name: string, bytes: unknown): void {
  if (bytes instanceof Uint8Array) return;
  throw new InvalidCheckpointError({
    parameter: name,
    found: bytes === undefined || bytes === null ? 'none' : typeof bytes,
    expected: 'the bytes of the file',
    advice: 'An adapter_model.bin is saved anew in Python by model.save_pretrained(folder, safe_serialization=True).',
  });
}
