import { ConfigError } from './errors.js';

/**
 * A LLaMA configuration with the keys of Hugging Face's `config.json`, complete and checked: what {@link llamaConfig}
 * returns.
 */
export interface LlamaConfig {
  readonly model_type: 'llama';
  readonly vocab_size: number;
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  /** Heads of keys and values; each serves `num_attention_heads / num_key_value_heads` query heads. */
  readonly num_key_value_heads: number;
  readonly head_dim: number;
  readonly hidden_act: 'silu';
  readonly max_position_embeddings: number;
  readonly rms_norm_eps: number;
  readonly rope_theta: number;
  /** Missing: the rotary embedding is not scaled. */
  readonly rope_scaling?: RopeScaling;
  readonly tie_word_embeddings: boolean;
  readonly initializer_range: number;
  readonly bos_token_id?: number;
  /** Several in models that talk: their texts end with any of them. */
  readonly eos_token_id?: number | readonly number[];
}

/** Every frequency is divided by `factor` (position interpolation, Chen et al. 2023). */
export interface LinearRopeScaling {
  readonly rope_type: 'linear';
  readonly factor: number;
}

/**
 * Llama 3.1's: low frequencies are divided by `factor`, high ones stay, and those between are blended. Which are low and
 * high, `original_max_position_embeddings` (the positions of pre-training) divided by the two factors says, as wavelengths.
 */
export interface Llama3RopeScaling {
  readonly rope_type: 'llama3';
  readonly factor: number;
  readonly low_freq_factor: number;
  readonly high_freq_factor: number;
  readonly original_max_position_embeddings: number;
}

/** How rotary frequencies are scaled, with the keys of Hugging Face's `rope_scaling`. */
export type RopeScaling = LinearRopeScaling | Llama3RopeScaling;

/**
 * What {@link llamaConfig} accepts: a parsed `config.json` (keys it does not use are ignored), or the sizes alone.
 * `max_sequence_length`, the name of the GaLore and ReLoRA configs, is understood as `max_position_embeddings`.
 */
export type LlamaConfigInput = { readonly [key: string]: unknown };

const USED_KEYS = [
  'model_type',
  'vocab_size',
  'hidden_size',
  'intermediate_size',
  'num_hidden_layers',
  'num_attention_heads',
  'num_key_value_heads',
  'head_dim',
  'hidden_act',
  'max_position_embeddings',
  'max_sequence_length',
  'rms_norm_eps',
  'rope_theta',
  'rope_scaling',
  'rope_parameters',
  'tie_word_embeddings',
  'initializer_range',
  'attention_bias',
  'mlp_bias',
  'bos_token_id',
  'eos_token_id',
];

/**
 * The largest sizes of a model: well above those of any that was ever trained, and small enough to be counted, planned
 * and refused for want of memory in no time.
 */
const LARGEST: Readonly<Record<string, number>> = {
  vocab_size: 2 ** 24,
  hidden_size: 2 ** 20,
  intermediate_size: 2 ** 22,
  num_hidden_layers: 2 ** 10,
  num_attention_heads: 2 ** 14,
  num_key_value_heads: 2 ** 14,
  head_dim: 2 ** 16,
};

/**
 * Completes and checks a configuration.
 *
 * Required: `vocab_size`, `hidden_size`, `intermediate_size`, `num_hidden_layers`, `num_attention_heads`.
 * Defaults: `num_key_value_heads` = `num_attention_heads`, `head_dim` = `hidden_size / num_attention_heads`,
 * `max_position_embeddings` 2048, `rms_norm_eps` 1e-6, `rope_theta` 10000, `tie_word_embeddings` false,
 * `initializer_range` 0.02. The rotary embedding is read from `rope_scaling` or from `rope_parameters`, unscaled or of
 * type `linear` or `llama3`.
 *
 * @throws ConfigError naming the key, what was found and what was expected; also for sizes beyond any model's, for a key
 *   that looks like a misspelling, and for features this model does not have (biases, other rotary scalings, other activations).
 */
export function llamaConfig(input: LlamaConfigInput): LlamaConfig {
  if (typeof input !== 'object' || input === null || Array.isArray(input)) {
    throw new ConfigError({ parameter: 'config', found: input, expected: 'an object with the keys of config.json' });
  }
  rejectMisspellings(input);
  rejectUnsupported(input);

  const hiddenSize = positiveInteger(input, 'hidden_size');
  const heads = positiveInteger(input, 'num_attention_heads');
  const keyValueHeads = positiveInteger(input, 'num_key_value_heads', heads);
  if (heads % keyValueHeads !== 0) {
    throw new ConfigError({
      parameter: 'num_key_value_heads',
      found: keyValueHeads,
      expected: `a divisor of num_attention_heads = ${heads}`,
    });
  }
  const { theta, scaling } = ropeSetting(input);
  const config: LlamaConfig = {
    model_type: 'llama',
    vocab_size: positiveInteger(input, 'vocab_size'),
    hidden_size: hiddenSize,
    intermediate_size: positiveInteger(input, 'intermediate_size'),
    num_hidden_layers: positiveInteger(input, 'num_hidden_layers'),
    num_attention_heads: heads,
    num_key_value_heads: keyValueHeads,
    head_dim: headSize(input, hiddenSize, heads),
    hidden_act: 'silu',
    max_position_embeddings: positiveInteger(
      input,
      input['max_position_embeddings'] === undefined && input['max_sequence_length'] !== undefined
        ? 'max_sequence_length'
        : 'max_position_embeddings',
      2048,
    ),
    rms_norm_eps: positiveNumber(input, 'rms_norm_eps', 1e-6),
    rope_theta: theta,
    ...(scaling === null ? {} : { rope_scaling: scaling }),
    tie_word_embeddings: flag(input, 'tie_word_embeddings', false),
    initializer_range: positiveNumber(input, 'initializer_range', 0.02),
    ...tokenIds(input),
  };
  return Object.freeze(config);
}

/** The configuration as the `config.json` that Hugging Face's `AutoModelForCausalLM` reads. */
export function huggingFaceConfig(config: LlamaConfig): Record<string, unknown> {
  return { architectures: ['LlamaForCausalLM'], ...config, torch_dtype: 'float32' };
}

function headSize(input: LlamaConfigInput, hiddenSize: number, heads: number): number {
  if (input['head_dim'] === undefined || input['head_dim'] === null) {
    if (hiddenSize % heads !== 0) {
      throw new ConfigError({
        parameter: 'hidden_size',
        found: hiddenSize,
        expected: `a multiple of num_attention_heads = ${heads}`,
        advice: 'Or give head_dim.',
      });
    }
  }
  const size = positiveInteger(input, 'head_dim', hiddenSize / heads);
  if (size % 2 !== 0) {
    throw new ConfigError({
      parameter: input['head_dim'] === undefined ? 'hidden_size / num_attention_heads' : 'head_dim',
      found: size,
      expected: 'an even number: rotary embedding turns pairs of channels',
    });
  }
  return size;
}

function rejectUnsupported(input: LlamaConfigInput): void {
  const only: [key: string, allowed: readonly unknown[]][] = [
    ['model_type', ['llama']],
    ['hidden_act', ['silu', 'swish']],
    ['attention_bias', [false]],
    ['mlp_bias', [false]],
  ];
  for (const [key, allowed] of only) {
    const found = input[key];
    if (found !== undefined && found !== null && !allowed.includes(found)) {
      throw new ConfigError({ parameter: key, found, expected: allowed.map(a => JSON.stringify(a)).join(' or ') });
    }
  }
}

function rejectMisspellings(input: LlamaConfigInput): void {
  for (const key of Object.keys(input)) {
    // Token ids differ by three letters (bos, cls, sep …): there a near miss is another key.
    if (USED_KEYS.includes(key) || key.endsWith('_token_id')) continue;
    const meant = USED_KEYS.find(
      // Each edit changes the length by one letter at most: a key of any length takes no time.
      known => known.length > 6 && Math.abs(known.length - key.length) <= 2 && editDistance(known, key) <= 2,
    );
    if (meant !== undefined) {
      throw new ConfigError({ parameter: key, found: input[key], expected: `the key ${meant}`, advice: 'Rename it.' });
    }
  }
}

/** Insertions, deletions and substitutions that turn one word into the other (Levenshtein). */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replace = row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(replace, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[b.length]!;
}

type TokenIds = Pick<LlamaConfig, 'bos_token_id' | 'eos_token_id'>;

/** The model uses neither; they are kept for whoever reads its `config.json`. Some files say -1 or [] for none. */
function tokenIds(input: LlamaConfigInput): TokenIds {
  const isId = (id: unknown): id is number => Number.isSafeInteger(id) && (id as number) >= 0;
  const { bos_token_id: bos, eos_token_id: eos } = input;
  const isList = Array.isArray(eos) && eos.length > 0 && eos.every(isId);
  return {
    ...(isId(bos) && { bos_token_id: bos }),
    ...(isList ? { eos_token_id: Object.freeze([...eos]) } : isId(eos) && { eos_token_id: eos }),
  };
}

/** What a configuration says about the rotary embedding. */
interface RopeSetting {
  readonly theta: number;
  /** Null: not scaled. */
  readonly scaling: RopeScaling | null;
}

const SUPPORTED = ['default', 'linear', 'llama3'] as const;

/**
 * Reads the rotary embedding from a `config.json`: of `rope_parameters` (transformers 5) or of `rope_scaling` (before),
 * whose `rope_type` was once called `type`; the base is `rope_theta` of that object, else of the file, else 10000. Without
 * `original_max_position_embeddings` it is `max_position_embeddings`.
 *
 * @throws ConfigError for a type that this model does not have, values outside their domain, and two settings that
 *   contradict each other.
 */
function ropeSetting(config: LlamaConfigInput): RopeSetting {
  const settings = ['rope_scaling', 'rope_parameters'].flatMap(key => {
    const fields = config[key];
    if (fields === undefined || fields === null) return [];
    if (typeof fields !== 'object' || Array.isArray(fields)) {
      throw new ConfigError({ parameter: key, found: fields, expected: 'an object or null' });
    }
    // Python takes an empty one for none.
    return Object.keys(fields).length === 0 ? [] : [settingOf(config, key, fields as LlamaConfigInput)];
  });
  const [first, second] = settings;
  if (first !== undefined && second !== undefined && JSON.stringify(first) !== JSON.stringify(second)) {
    throw new ConfigError({
      parameter: 'rope_scaling',
      found: config['rope_scaling'],
      expected: 'the same setting as in rope_parameters',
      advice: 'Remove one of the two.',
    });
  }
  requireWholeHeads(config);
  return first ?? { theta: positiveNumber(config, 'rope_theta', 10000), scaling: null };
}

function settingOf(config: LlamaConfigInput, key: string, fields: LlamaConfigInput): RopeSetting {
  const name = (part: string): string => `${key}.${part}`;
  const nested = Object.keys(fields).find(part => typeof fields[part] === 'object' && fields[part] !== null);
  if (nested !== undefined) {
    throw new ConfigError({ parameter: name(nested), found: fields[nested], expected: 'one setting for all layers' });
  }
  requireWholeHeads(fields, name('partial_rotary_factor'));
  const theta =
    fields['rope_theta'] === undefined || fields['rope_theta'] === null
      ? positiveNumber(config, 'rope_theta', 10000)
      : positiveNumber(fields, 'rope_theta', undefined, name('rope_theta'));
  return { theta, scaling: scalingOf(config, key, fields) };
}

function scalingOf(config: LlamaConfigInput, key: string, fields: LlamaConfigInput): RopeScaling | null {
  const name = (part: string): string => `${key}.${part}`;
  // A factor without a type would change nothing unseen.
  const type = fields['rope_type'] ?? fields['type'] ?? (fields['factor'] === undefined ? 'default' : undefined);
  if (type === 'default') return null;
  if (type !== 'linear' && type !== 'llama3') {
    throw new ConfigError({
      parameter: type === undefined ? name('rope_type') : key,
      found: type,
      expected: `rope_type ${SUPPORTED.map(known => JSON.stringify(known)).join(', ')}`,
      ...(type === undefined ? {} : { advice: 'Other ways of scaling the rotary embedding are not supported.' }),
    });
  }
  const factor = positiveNumber(fields, 'factor', undefined, name('factor'));
  if (factor < 1)
    throw new ConfigError({ parameter: name('factor'), found: factor, expected: 'a number of at least 1' });
  if (type === 'linear') return Object.freeze({ rope_type: type, factor });

  const low = positiveNumber(fields, 'low_freq_factor', undefined, name('low_freq_factor'));
  const high = positiveNumber(fields, 'high_freq_factor', undefined, name('high_freq_factor'));
  if (high <= low) {
    throw new ConfigError({
      parameter: name('high_freq_factor'),
      found: high,
      expected: `more than low_freq_factor = ${low}`,
    });
  }
  const positions = 'original_max_position_embeddings';
  const largest = positiveInteger(config, 'max_position_embeddings', 2048);
  return Object.freeze({
    rope_type: type,
    factor,
    low_freq_factor: low,
    high_freq_factor: high,
    [positions]: positiveInteger(fields, positions, largest, name(positions)),
  });
}

/** Models that turn only a part of every head exist; this one turns the whole. */
function requireWholeHeads(fields: LlamaConfigInput, parameter = 'partial_rotary_factor'): void {
  const found = fields['partial_rotary_factor'];
  if (found !== undefined && found !== null && found !== 1) {
    throw new ConfigError({ parameter, found, expected: '1: the rotary embedding turns whole heads' });
  }
}

/** The value of a key, or `otherwise` for a missing or null one. `parameter` is what a message calls the key. */
function positiveInteger(fields: LlamaConfigInput, key: string, otherwise?: number, parameter: string = key): number {
  const found = fields[key] ?? otherwise;
  const largest = LARGEST[key] ?? Number.MAX_SAFE_INTEGER;
  if (typeof found !== 'number' || !Number.isSafeInteger(found) || found < 1 || found > largest) {
    const bound = LARGEST[key] === undefined ? '' : ` of at most ${largest}`;
    throw new ConfigError({ parameter, found, expected: `a positive integer${bound}` });
  }
  return found;
}

/** As {@link positiveInteger}, for any positive finite number. */
function positiveNumber(fields: LlamaConfigInput, key: string, otherwise?: number, parameter: string = key): number {
  const found = fields[key] ?? otherwise;
  if (typeof found !== 'number' || !Number.isFinite(found) || found <= 0) {
    throw new ConfigError({ parameter, found, expected: 'a positive finite number' });
  }
  return found;
}

/** As {@link positiveInteger}, for true or false. */
function flag(fields: LlamaConfigInput, key: string, otherwise: boolean): boolean {
  const found = fields[key] ?? otherwise;
  if (typeof found !== 'boolean') throw new ConfigError({ parameter: key, found, expected: 'true or false' });
  return found;
}

/** A named size. */
export type PresetName =
  | 'llama_nano'
  | 'llama_micro'
  | 'llama_tiny'
  | 'llama_small'
  | 'llama_9m'
  | 'llama_20m'
  | 'llama_35m'
  | 'llama_40m'
  | 'llama_60m'
  | 'llama_71m'
  | 'llama_100m'
  | 'llama_130m'
  | 'llama_250m'
  | 'llama_350m'
  | 'llama_1b'
  | 'llama_3b'
  | 'llama_7b';

type Sizes = readonly [layers: number, hidden: number, intermediate: number, heads: number, vocabulary?: number];

/**
 * Sizes of the LLaMA family that GaLore, ReLoRA and FRUGAL pre-train on C4 (their public `configs/llama_*.json`), and
 * of a few models small enough for a test, a page or a CPU. The small ones read bytes: 256 values and a separator.
 */
const SIZES: Readonly<Record<PresetName, Sizes>> = {
  llama_nano: [1, 32, 88, 2, 257],
  llama_micro: [2, 64, 176, 4, 257],
  llama_tiny: [2, 128, 352, 4, 257],
  llama_small: [4, 256, 688, 4, 257],
  llama_9m: [4, 128, 352, 4],
  llama_20m: [4, 256, 688, 4],
  llama_35m: [6, 384, 1024, 8],
  llama_40m: [8, 416, 1024, 8],
  llama_60m: [8, 512, 1376, 8],
  llama_71m: [12, 512, 1368, 8],
  llama_100m: [12, 640, 1708, 10, 32100],
  llama_130m: [12, 768, 2048, 12],
  llama_250m: [24, 768, 2560, 16],
  llama_350m: [24, 1024, 2736, 16],
  llama_1b: [24, 2048, 5461, 32],
  llama_3b: [32, 2560, 6848, 32],
  llama_7b: [32, 4096, 11008, 32],
};

/** The names {@link preset} knows, smallest model first. */
export const presetNames: readonly PresetName[] = Object.keys(SIZES) as PresetName[];

/** The preset of a pre-training comparison that a CPU finishes in minutes: 2 layers, width 128, 4 heads, bytes. */
export const defaultPreset: PresetName = 'llama_tiny';

/**
 * A named configuration.
 *
 * @param name A preset, with or without `llama_` (`'60m'`).
 * @param overrides Keys to replace, such as `vocab_size` for another tokenizer.
 * @throws ConfigError for an unknown name, or overrides that do not fit.
 */
export function preset(name: string, overrides: LlamaConfigInput = {}): LlamaConfig {
  const key = (name.startsWith('llama_') ? name : `llama_${name}`) as PresetName;
  if (!Object.hasOwn(SIZES, key)) {
    throw new ConfigError({ parameter: 'preset', found: name, expected: `one of ${presetNames.join(', ')}` });
  }
  const [layers, hidden, intermediate, heads, vocabulary = 32000] = SIZES[key];
  return llamaConfig({
    vocab_size: vocabulary,
    hidden_size: hidden,
    intermediate_size: intermediate,
    num_hidden_layers: layers,
    num_attention_heads: heads,
    max_position_embeddings: key === 'llama_7b' ? 2048 : 1024,
    ...overrides,
  });
}
