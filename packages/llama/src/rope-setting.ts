import { positiveInteger, positiveNumber } from './config-values.js';
import { ConfigError } from './errors.js';

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

/** What a configuration says about the rotary embedding. */
export interface RopeSetting {
  readonly theta: number;
  /** Null: not scaled. */
  readonly scaling: RopeScaling | null;
}

type Fields = { readonly [key: string]: unknown };

const SUPPORTED = ['default', 'linear', 'llama3'] as const;

/**
 * Reads the rotary embedding from a `config.json`: of `rope_parameters` (transformers 5) or of `rope_scaling` (before),
 * whose `rope_type` was once called `type`; the base is `rope_theta` of that object, else of the file, else 10000. Without
 * `original_max_position_embeddings` it is `max_position_embeddings`.
 *
 * @throws ConfigError for a type that this model does not have, values outside their domain, and two settings that
 *   contradict each other.
 */
export function ropeSetting(config: Fields): RopeSetting {
  const settings = ['rope_scaling', 'rope_parameters'].flatMap(key => {
    const fields = config[key];
    if (fields === undefined || fields === null) return [];
    if (typeof fields !== 'object' || Array.isArray(fields)) {
      throw new ConfigError({ parameter: key, found: fields, expected: 'an object or null' });
    }
    // Python takes an empty one for none.
    return Object.keys(fields).length === 0 ? [] : [read(config, key, fields as Fields)];
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
  requireWholeHeads(config, 'partial_rotary_factor');
  return first ?? { theta: positiveNumber(config, 'rope_theta', 10000), scaling: null };
}

function read(config: Fields, key: string, fields: Fields): RopeSetting {
  const name = (part: string): string => `${key}.${part}`;
  const nested = Object.keys(fields).find(part => typeof fields[part] === 'object' && fields[part] !== null);
  if (nested !== undefined) {
    throw new ConfigError({ parameter: name(nested), found: fields[nested], expected: 'one setting for all layers' });
  }
  requireWholeHeads(fields, 'partial_rotary_factor', name('partial_rotary_factor'));
  const theta =
    fields['rope_theta'] === undefined || fields['rope_theta'] === null
      ? positiveNumber(config, 'rope_theta', 10000)
      : positiveNumber(fields, 'rope_theta', undefined, name('rope_theta'));
  return { theta, scaling: scalingOf(config, key, fields) };
}

function scalingOf(config: Fields, key: string, fields: Fields): RopeScaling | null {
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
function requireWholeHeads(fields: Fields, key: string, parameter: string = key): void {
  const found = fields[key];
  if (found !== undefined && found !== null && found !== 1) {
    throw new ConfigError({ parameter, found, expected: '1: the rotary embedding turns whole heads' });
  }
}
