import { describe, expect, it } from 'vitest';
import {
  ConfigError,
  defaultPreset,
  huggingFaceConfig,
  llamaConfig,
  parameterCount,
  parameterSpecs,
  preset,
  presetNames,
} from '../src/index.js';

const sizes = {
  vocab_size: 100,
  hidden_size: 32,
  intermediate_size: 88,
  num_hidden_layers: 2,
  num_attention_heads: 4,
};

const llama3 = {
  rope_type: 'llama3',
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};

const linear = { rope_type: 'linear', factor: 2.5 };

function problem(change: Record<string, unknown>): ConfigError {
  try {
    llamaConfig({ ...sizes, ...change });
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return error as ConfigError;
  }
  throw new Error(`${JSON.stringify(change)} was accepted`);
}

describe('llamaConfig', () => {
  it('fills in the defaults', () => {
    expect(llamaConfig(sizes)).toEqual({
      ...sizes,
      model_type: 'llama',
      num_key_value_heads: 4,
      head_dim: 8,
      hidden_act: 'silu',
      max_position_embeddings: 2048,
      rms_norm_eps: 1e-6,
      rope_theta: 10000,
      tie_word_embeddings: false,
      initializer_range: 0.02,
    });
  });

  it('reads a config.json as Hugging Face writes it', () => {
    const config = llamaConfig({
      ...sizes,
      architectures: ['LlamaForCausalLM'],
      attention_bias: false,
      attention_dropout: 0,
      bos_token_id: 1,
      cls_token_id: 4,
      eos_token_id: [2, 3],
      head_dim: 16,
      hidden_act: 'silu',
      mlp_bias: false,
      model_type: 'llama',
      num_key_value_heads: 2,
      pretraining_tp: 1,
      rope_parameters: { rope_theta: 500000, rope_type: 'default' },
      rope_scaling: null,
      torch_dtype: 'bfloat16',
      transformers_version: '4.57.0',
      use_cache: true,
    });
    expect(config).toMatchObject({ head_dim: 16, num_key_value_heads: 2, rope_theta: 500000, bos_token_id: 1 });
    expect(config.eos_token_id).toEqual([2, 3]);
    expect(llamaConfig(huggingFaceConfig(config))).toEqual(config);
  });

  it.each([
    ['not at all', {}, undefined, 10000],
    ['by null and by nothing', { rope_scaling: null, rope_parameters: {} }, undefined, 10000],
    ['by rope_scaling', { rope_theta: 5e5, rope_scaling: llama3 }, llama3, 5e5],
    ['under the old name of the type', { rope_scaling: { type: 'linear', factor: 2.5 } }, linear, 10000],
    ['under both names', { rope_scaling: { ...llama3, type: 'llama3' } }, llama3, 10000],
    ['by rope_parameters', { rope_parameters: { ...llama3, rope_theta: 5e5 } }, llama3, 5e5],
    [
      'by both places',
      { rope_theta: 5, rope_scaling: linear, rope_parameters: { ...linear, rope_theta: 5 } },
      linear,
      5,
    ],
    ['with the base in both', { rope_theta: 7, rope_parameters: { rope_theta: 5e5 } }, undefined, 5e5],
    ['with the base null', { rope_theta: 7, rope_parameters: { rope_theta: null } }, undefined, 7],
  ])('reads the rotary embedding given %s', (_, change, scaling, theta) => {
    const config = llamaConfig({ ...sizes, ...change });
    expect(config.rope_scaling).toEqual(scaling);
    expect(config.rope_theta).toBe(theta);
    expect(llamaConfig(JSON.parse(JSON.stringify(huggingFaceConfig(config))))).toEqual(config);
  });

  it('takes the positions of the model for those of pre-training where they are not given', () => {
    const { original_max_position_embeddings: _, ...rest } = llama3;
    const { rope_scaling: scaling } = llamaConfig({ ...sizes, max_position_embeddings: 77, rope_scaling: rest });
    expect(scaling).toEqual({ ...llama3, original_max_position_embeddings: 77 });
  });

  it.each([-1, null, [], [2, -1], '2', 1.5])('takes %j for no token', id => {
    const config = llamaConfig({ ...sizes, bos_token_id: id, eos_token_id: id });
    expect(config).not.toHaveProperty('bos_token_id');
    expect(config).not.toHaveProperty('eos_token_id');
  });

  it('reads the name GaLore and ReLoRA give the longest sequence', () => {
    expect(llamaConfig({ ...sizes, max_sequence_length: 77 }).max_position_embeddings).toBe(77);
  });

  it.each([
    [{ hidden_size: undefined }, 'hidden_size', 'nothing'],
    [{ hidden_size: 33 }, 'hidden_size', '33'],
    [{ hidden_size: 12 }, 'hidden_size / num_attention_heads', '3'],
    [{ head_dim: 7 }, 'head_dim', '7'],
    [{ vocab_size: 0 }, 'vocab_size', '0'],
    [{ vocab_size: '100' }, 'vocab_size', '"100"'],
    [{ num_hidden_layers: 1.5 }, 'num_hidden_layers', '1.5'],
    [{ num_key_value_heads: 3 }, 'num_key_value_heads', '3'],
    [{ rms_norm_eps: -1 }, 'rms_norm_eps', '-1'],
    [{ initializer_range: Number.NaN }, 'initializer_range', 'NaN'],
    [{ rope_theta: null, rope_parameters: { rope_type: 'yarn' } }, 'rope_parameters', '"yarn"'],
    [{ rope_scaling: { type: 'dynamic', factor: 2 } }, 'rope_scaling', '"dynamic"'],
    [{ rope_scaling: { rope_type: 'longrope', type: 'default' } }, 'rope_scaling', '"longrope"'],
    [{ rope_scaling: 'linear' }, 'rope_scaling', '"linear"'],
    [{ rope_scaling: { factor: 2 } }, 'rope_scaling.rope_type', 'nothing'],
    [{ rope_scaling: { type: 'linear' } }, 'rope_scaling.factor', 'nothing'],
    [{ rope_scaling: { type: 'linear', factor: 0.5 } }, 'rope_scaling.factor', '0.5'],
    [{ rope_scaling: { ...llama3, low_freq_factor: '1' } }, 'rope_scaling.low_freq_factor', '"1"'],
    [{ rope_scaling: { ...llama3, high_freq_factor: 1 } }, 'rope_scaling.high_freq_factor', '1'],
    [
      { rope_parameters: { ...llama3, original_max_position_embeddings: 0 } },
      'rope_parameters.original_max_position_embeddings',
      '0',
    ],
    [{ rope_parameters: { rope_theta: -1 } }, 'rope_parameters.rope_theta', '-1'],
    [{ rope_parameters: { full_attention: { rope_theta: 5 } } }, 'rope_parameters.full_attention', '{"rope_theta":5}'],
    [{ rope_parameters: { ...llama3, partial_rotary_factor: 0.5 } }, 'rope_parameters.partial_rotary_factor', '0.5'],
    [{ partial_rotary_factor: 0.5 }, 'partial_rotary_factor', '0.5'],
    [{ rope_scaling: llama3, rope_parameters: { rope_theta: 777 } }, 'rope_scaling', '{"rope_type":"llama3"'],
    [{ tie_word_embeddings: 1 }, 'tie_word_embeddings', '1'],
    [{ attention_bias: true }, 'attention_bias', 'true'],
    [{ hidden_act: 'gelu' }, 'hidden_act', '"gelu"'],
    [{ model_type: 'mistral' }, 'model_type', '"mistral"'],
    [{ num_key_value_head: 2 }, 'num_key_value_head', '2'],
    [{ rope_teta: 5 }, 'rope_teta', '5'],
  ])('refuses %j, naming %s', (change, key, found) => {
    const error = problem(change as Record<string, unknown>);
    expect(error.parameter).toBe(key);
    expect(error.message).toContain(`found ${found}`);
    expect(error.message).toContain('expected');
  });

  it('suggests the key that a misspelled one meant', () => {
    expect(problem({ num_key_value_head: 2 }).message).toContain('num_key_value_heads');
  });

  it('refuses what is not an object', () => {
    expect(() => llamaConfig([] as unknown as Record<string, unknown>)).toThrow(ConfigError);
  });
});

describe('presets', () => {
  // linear = l(4d² + 3df), embedding + head = 2Vd, norms = (2l+1)d; total; projectable matrices.
  it.each([
    ['60m', 25_296_896, 32_768_000, 8_704, 58_073_600, 56],
    ['130m', 84_934_656, 49_152_000, 19_200, 134_105_856, 84],
    ['350m', 302_383_104, 65_536_000, 50_176, 367_969_280, 168],
    ['1b', 1_207_910_400, 131_072_000, 100_352, 1_339_082_752, 168],
    ['7b', 6_476_005_376, 262_144_000, 266_240, 6_738_415_616, 224],
  ])('%s has the published parameter counts', (name, linear, ends, norm, total, matrices) => {
    const config = preset(name);
    const count = parameterCount(config);
    expect(count.linear).toBe(linear);
    expect(count.embedding + count.head).toBe(ends);
    expect(count.norm).toBe(norm);
    expect(count.total).toBe(total);
    expect(parameterSpecs(config).filter(({ kind }) => kind === 'linear')).toHaveLength(matrices);
  });

  it('are all valid, in order of size, and found with or without the prefix', () => {
    const small = presetNames
      .filter(name => preset(name).vocab_size === 257)
      .map(name => parameterCount(preset(name)).total);
    const large = presetNames
      .filter(name => preset(name).vocab_size !== 257)
      .map(name => parameterCount(preset(name)).total);
    expect(small).toEqual([...small].sort((a, b) => a - b));
    expect(large).toEqual([...large].sort((a, b) => a - b));
    expect(preset('9m')).toEqual(preset('llama_9m'));
  });

  it('compare by default with 2 layers of width 128 over bytes', () => {
    expect(preset(defaultPreset)).toMatchObject({
      hidden_size: 128,
      intermediate_size: 352,
      num_hidden_layers: 2,
      num_attention_heads: 4,
      vocab_size: 257,
    });
  });

  it('take overrides', () => {
    const config = preset('tiny', { vocab_size: 2048, tie_word_embeddings: true });
    expect(config.vocab_size).toBe(2048);
    expect(parameterCount(config).head).toBe(0);
  });

  it('are listed when a name is unknown', () => {
    expect(() => preset('61m')).toThrow(/expected one of .*llama_60m.*found "61m"/);
    expect(() => preset('tiny', { num_attention_heads: 5 })).toThrow(ConfigError);
  });
});

describe('sizes that no model has', () => {
  const bounds = {
    vocab_size: 2 ** 24,
    hidden_size: 2 ** 20,
    intermediate_size: 2 ** 22,
    num_hidden_layers: 1024,
    num_attention_heads: 2 ** 14,
    num_key_value_heads: 2 ** 14,
    head_dim: 2 ** 16,
  };

  it.each(Object.entries(bounds))('%s is refused above its bound, which the message names', (key, bound) => {
    for (const found of [bound + 1, 1e9, 2 ** 53 - 1]) {
      expect(problem({ [key]: found })).toMatchObject({
        parameter: key,
        message: `${key}: expected a positive integer of at most ${bound}, found ${found}.`,
      });
    }
  });

  it('are far from those of the largest LLaMA', () => {
    const large = llamaConfig({
      ...{ vocab_size: 128256, hidden_size: 16384, intermediate_size: 53248, num_hidden_layers: 126 },
      ...{ num_attention_heads: 128, num_key_value_heads: 8, max_position_embeddings: 131072 },
    });
    expect(Math.round(parameterCount(large).total / 1e9)).toBe(406);
  });

  it('a key of five megabytes is passed over like any other', () => {
    // Compared letter by letter it would not end in the time of a test.
    expect(llamaConfig({ ...sizes, [`hidden_size${'e'.repeat(5e6)}`]: 1 }).hidden_size).toBe(32);
  });
});
