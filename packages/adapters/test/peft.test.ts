import '@frugaljs/backend-wasm';
import '@tensorflow/tfjs-layers';
import { bytesSource, MemorySink, SafetensorsReader, type TensorToWrite, writeSafetensors } from '@frugaljs/checkpoint';
import { LlamaForCausalLM } from '@frugaljs/llama';
import { matMul, memory, setBackend, tensor2d } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { ROWS, TINY } from '../../llama/test/tiny-model.js';
import { Lora, type LoraOptions, loadPeft, type PeftFiles, peftFiles } from '../src/index.js';
import { numbers } from './linear-model.js';

beforeAll(async () => void (await setBackend('wasm')));

function llama(): LlamaForCausalLM {
  const model = new LlamaForCausalLM(TINY, { seed: 5 });
  onTestFinished(() => model.dispose());
  return model;
}

function trained(model: LlamaForCausalLM, options: LoraOptions): Lora {
  const lora = new Lora(model, options);
  for (const [i, part] of Object.values(lora.parameters()).entries()) part.assign(numbers(part.shape, i));
  return lora;
}

const json = (value: object): Uint8Array => new TextEncoder().encode(JSON.stringify(value));
const parse = (bytes: Uint8Array): { [key: string]: unknown } => JSON.parse(new TextDecoder().decode(bytes));

async function safetensors(tensors: readonly TensorToWrite[]): Promise<Uint8Array> {
  const sink = new MemorySink();
  await writeSafetensors(sink, tensors, { format: 'pt' });
  return sink.bytes();
}

test.each([
  [{ r: 3, loraAlpha: 6 }, ['down_proj', 'gate_proj', 'k_proj', 'o_proj', 'q_proj', 'up_proj', 'v_proj']],
  [{ r: 2, targetModules: ['v_proj', 'q_proj'], useRslora: true }, ['q_proj', 'v_proj']],
  [{ r: 1, targetModules: /1\.mlp\.up/ }, ['model.layers.1.mlp.up_proj']],
] as const)('what is written is read, and written again byte for byte: %j', async (options, targets) => {
  const model = llama();
  const lora = trained(model, options);
  const files = await peftFiles(lora, { baseModel: 'some/base' });
  const logits = model.forward(ROWS).dataSync();
  lora.unload();
  const { numTensors } = memory();
  const again = await loadPeft(model, files);
  expect(model.forward(ROWS).dataSync()).toEqual(logits);
  expect(again.config).toEqual(lora.config);
  expect(again.scale).toBe(lora.scale);
  expect(await peftFiles(again, { baseModel: 'some/base' })).toEqual(files);
  expect(parse(files['adapter_config.json'])).toMatchObject({
    peft_type: 'LORA',
    task_type: 'CAUSAL_LM',
    base_model_name_or_path: 'some/base',
    r: options.r,
    target_modules: targets,
  });
  again.unload();
  expect(memory().numTensors).toBe(numTensors + 1);
});

test('tensors have the names and shapes of PEFT', async () => {
  const lora = trained(llama(), { r: 3, targetModules: 'k_proj' });
  const files = await peftFiles(lora);
  const reader = await SafetensorsReader.open(bytesSource(files['adapter_model.safetensors']));
  const found = [...reader.tensors.values()].map(({ name, shape, dtype }) => [name, [...shape], dtype]);
  expect(found).toEqual([
    ['base_model.model.model.layers.0.self_attn.k_proj.lora_A.weight', [3, 16], 'F32'],
    ['base_model.model.model.layers.0.self_attn.k_proj.lora_B.weight', [8, 3], 'F32'],
    ['base_model.model.model.layers.1.self_attn.k_proj.lora_A.weight', [3, 16], 'F32'],
    ['base_model.model.model.layers.1.self_attn.k_proj.lora_B.weight', [8, 3], 'F32'],
  ]);
  expect(reader.metadata.get('format')).toBe('pt');
  lora.unload();
});

/** As PEFT 0.17 writes it for LoraConfig(r=2, lora_alpha=4, target_modules=["q_proj"], task_type="CAUSAL_LM"). */
const CONFIG = {
  alpha_pattern: {},
  auto_mapping: null,
  base_model_name_or_path: 'meta/tiny',
  bias: 'none',
  corda_config: null,
  eva_config: null,
  exclude_modules: null,
  fan_in_fan_out: false,
  inference_mode: true,
  init_lora_weights: true,
  layer_replication: null,
  layers_pattern: null,
  layers_to_transform: null,
  loftq_config: {},
  lora_alpha: 4,
  lora_bias: false,
  lora_dropout: 0.0,
  megatron_config: null,
  megatron_core: 'megatron.core',
  modules_to_save: null,
  peft_type: 'LORA',
  qalora_group_size: 16,
  r: 2,
  rank_pattern: {},
  revision: null,
  target_modules: ['q_proj'],
  target_parameters: null,
  task_type: 'CAUSAL_LM',
  trainable_token_indices: null,
  use_dora: false,
  use_qalora: false,
  use_rslora: false,
};

const A = (layer: number) => `base_model.model.model.layers.${layer}.self_attn.q_proj.lora_A.weight`;
const B = (layer: number) => `base_model.model.model.layers.${layer}.self_attn.q_proj.lora_B.weight`;
const f32 = (name: string, shape: readonly number[]): TensorToWrite => ({
  name,
  dtype: 'F32',
  shape,
  data: Float32Array.from({ length: shape.reduce((n, extent) => n * extent, 1) }, (_, i) => (i + 1) / 64),
});
const TENSORS = [f32(A(0), [2, 16]), f32(B(0), [16, 2]), f32(A(1), [2, 16]), f32(B(1), [16, 2])];

async function folder(config: object = {}, tensors: readonly TensorToWrite[] = TENSORS): Promise<PeftFiles> {
  return {
    'adapter_config.json': json({ ...CONFIG, ...config }),
    'adapter_model.safetensors': await safetensors(tensors),
  };
}

test('a folder of PEFT is read: W + (α/r) B A', async () => {
  const model = llama();
  const name = 'model.layers.1.self_attn.q_proj.weight';
  const before = model.parameters()[name]!.arraySync() as number[][];
  const lora = await loadPeft(model, await folder());
  expect(lora.config).toMatchObject({ r: 2, loraAlpha: 4, useRslora: false });
  lora.mergeAndUnload();
  const a = tensor2d(TENSORS[2]!.data as Float32Array, [2, 16]);
  const b = tensor2d(TENSORS[3]!.data as Float32Array, [16, 2]);
  const added = matMul(b, a).arraySync() as number[][];
  const after = model.parameters()[name]!.arraySync() as number[][];
  for (const [i, row] of after.entries()) {
    for (const [j, x] of row.entries()) expect(x).toBeCloseTo(before[i]![j]! + 2 * added[i]![j]!, 5);
  }
});

test.each([
  ['a pattern', { target_modules: '.*\\.q_proj' }],
  ['bfloat16 and no dropout from here on', { lora_dropout: 0.05 }],
])('read too: %s', async (_, config) => {
  const halves = TENSORS.map(({ name, shape, data }): TensorToWrite => {
    const bits = new Uint32Array((data as Float32Array).slice().buffer);
    return { name, shape, dtype: 'BF16', data: Uint16Array.from(bits, word => word >>> 16) };
  });
  const lora = await loadPeft(llama(), await folder(config, halves), { loraDropout: 0 });
  expect(lora.config.modules).toEqual([0, 1].map(layer => `model.layers.${layer}.self_attn.q_proj`));
  lora.unload();
});

describe('refused by name, and the model stays as it was', () => {
  test.each([
    ['peft_type', 'LOHA', 'expected LORA'],
    ['task_type', 'SEQ_CLS', 'other tasks have a head of their own'],
    ['modules_to_save', ['lm_head'], 'modules that were trained in full are not supported'],
    ['bias', 'all', 'no biases to train'],
    ['lora_bias', true, 'not in use'],
    ['use_dora', true, 'DoRA'],
    ['rank_pattern', { q_proj: 4 }, 'the rank r'],
    ['alpha_pattern', { q_proj: 4 }, 'the scale lora_alpha / r'],
    ['fan_in_fan_out', true, '(out, in)'],
    ['init_lora_weights', 'pissa', 'leaves the base weights as they are'],
    ['layers_to_transform', [0], 'target_modules'],
    ['exclude_modules', ['v_proj'], 'target_modules'],
    ['layer_replication', [[0, 2]], 'layers of its configuration'],
    ['trainable_token_indices', [1], 'not in use'],
    ['some_method_of_2027', { size: 3 }, 'not in use'],
    ['lora_dropout', 0.1, 'pass { loraDropout: 0 }'],
    ['r', 0, 'an integer of at least 1'],
    ['lora_alpha', 'four', 'a number above 0'],
    ['target_modules', '(?P<name>q)_proj', 'JavaScript'],
    ['target_modules', null, 'a list of names'],
  ])('%s: %j', async (key, value, message) => {
    const model = llama();
    const reading = loadPeft(model, await folder({ [key]: value }));
    await expect(reading).rejects.toThrow(message);
    await expect(reading).rejects.toThrow(`adapter_config.json: ${key}`);
    expect(Object.values(model.parameters()).every(({ trainable }) => trainable)).toBe(true);
    new Lora(model).unload();
  });

  test.each([
    ['a missing tensor', TENSORS.slice(1), `${A(0)} is missing`],
    [
      'an unknown one',
      [...TENSORS, f32('base_model.model.lm_head.weight', [11, 16])],
      'lm_head.weight is none of them',
    ],
    ['another module', [...TENSORS, f32(A(0).replace('q_proj', 'v_proj'), [2, 16])], 'v_proj.lora_A.weight is none'],
    ['another shape', [f32(A(0), [16, 2]), ...TENSORS.slice(1)], `${A(0)} has shape [16,2], not [2,16]`],
    [
      'a number that is none',
      [{ ...f32(A(0), [2, 16]), data: new Float32Array(32).fill(Number.NaN, 31) }, ...TENSORS.slice(1)],
      `${A(0)} has NaN or Inf`,
    ],
  ])('%s', async (_, tensors, message) => {
    const model = llama();
    const { numTensors } = memory();
    await expect(loadPeft(model, await folder({}, tensors))).rejects.toThrow(message);
    expect(memory().numTensors).toBe(numTensors);
    new Lora(model).unload();
  });

  test('modules that the model does not have', async () => {
    const reading = loadPeft(llama(), await folder({ target_modules: ['c_attn'] }));
    await expect(reading).rejects.toThrow('lora.targetModules: expected linear layers that can be adapted');
  });

  test('a folder with an adapter_model.bin, and no JSON', async () => {
    const files = await folder();
    const without = { 'adapter_config.json': files['adapter_config.json'] } as PeftFiles;
    const model = llama();
    await expect(loadPeft(model, without)).rejects.toThrow('safe_serialization=True');
    const broken = { ...files, 'adapter_config.json': new TextEncoder().encode('{"r": ') };
    await expect(loadPeft(model, broken)).rejects.toThrow('an object of JSON');
  });
});
