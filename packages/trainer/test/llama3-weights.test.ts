import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { byteTokenizer, LlamaForCausalLM, llamaConfig, TokenDataset } from '@frugaljs/llama';
import { openCorpus } from '@frugaljs/llama/node';
import { afterAll, expect, test } from 'vitest';
import { evaluate } from '../src/index.js';
import { frugalHere, smallRun } from './support/command.js';

const { folder, flags, remove } = smallRun();
afterAll(remove);
const at = (name: string): string => join(folder, name);

/** The config.json of Llama 3.2, but for the sizes and for positions of pre-training that 16 tokens reach. */
const CONFIG = {
  architectures: ['LlamaForCausalLM'],
  attention_bias: false,
  attention_dropout: 0.0,
  bos_token_id: 128000,
  eos_token_id: [128001, 128008, 128009],
  head_dim: 8,
  hidden_act: 'silu',
  hidden_size: 32,
  // Ten times as much as theirs, so that attention to other positions shows in the loss.
  initializer_range: 0.2,
  intermediate_size: 64,
  max_position_embeddings: 131072,
  mlp_bias: false,
  model_type: 'llama',
  num_attention_heads: 4,
  num_hidden_layers: 2,
  num_key_value_heads: 2,
  pretraining_tp: 1,
  rms_norm_eps: 1e-5,
  rope_scaling: {
    factor: 32.0,
    high_freq_factor: 4.0,
    low_freq_factor: 1.0,
    original_max_position_embeddings: 24,
    rope_type: 'llama3',
  },
  rope_theta: 500000.0,
  tie_word_embeddings: true,
  torch_dtype: 'bfloat16',
  transformers_version: '4.45.0.dev0',
  use_cache: true,
  vocab_size: 300,
};

type Weights = Record<string, { shape: number[]; data: Float32Array }>;

/** Of a new model, rounded toward zero to what bfloat16 holds. */
function roundedWeights(): Weights {
  const model = new LlamaForCausalLM(llamaConfig(CONFIG), { seed: 5, namePrefix: 'rounded.' });
  const weights = Object.entries(model.parameters()).map(([name, value]) => {
    const data = value.dataSync<'float32'>().slice();
    const bits = new Uint32Array(data.buffer);
    for (let i = 0; i < bits.length; i++) bits[i]! &= 0xffff0000;
    return [name, { shape: value.shape, data }] as const;
  });
  model.dispose();
  return Object.fromEntries(weights);
}

function safetensors(weights: Weights): Buffer {
  const header: Record<string, object> = { __metadata__: { format: 'pt' } };
  const parts: Buffer[] = [];
  let at = 0;
  for (const [name, { shape, data }] of Object.entries(weights)) {
    const bits = new Uint32Array(data.buffer, data.byteOffset, data.length);
    const halves = Buffer.from(Uint16Array.from(bits, each => each >>> 16).buffer);
    header[name] = { dtype: 'BF16', shape, data_offsets: [at, at + halves.length] };
    at += halves.length;
    parts.push(halves);
  }
  const json = Buffer.from(JSON.stringify(header));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json, ...parts]);
}

/** The files of `save_pretrained`, in three parts with an index. */
function saveInParts(weights: Weights, to: string): void {
  mkdirSync(to);
  writeFileSync(join(to, 'config.json'), JSON.stringify(CONFIG));
  const names = Object.keys(weights);
  const files = names.map((_, i) => `model-0000${Math.floor((3 * i) / names.length) + 1}-of-00003.safetensors`);
  for (const file of new Set(files)) {
    const part = names.filter((_, i) => files[i] === file).map(name => [name, weights[name]!] as const);
    writeFileSync(join(to, file), safetensors(Object.fromEntries(part)));
  }
  const index = {
    metadata: { total_size: 0 },
    weight_map: Object.fromEntries(names.map((name, i) => [name, files[i]])),
  };
  writeFileSync(join(to, 'model.safetensors.index.json'), JSON.stringify(index));
}

const data = flags.filter((flag, i) => flag !== '--config' && flags[i - 1] !== '--config');

test('weights of Llama 3.2 are fine-tuned: scaled rotary embedding, shared heads, tied output, bfloat16 in parts', async () => {
  // The command picks the backend that the expected loss is then computed on.
  const planned = await frugalHere('train', ...flags, '--steps', '1', '--sample', '0');
  expect(planned.code, planned.stderr).toBe(0);
  const weights = roundedWeights();
  saveInParts(weights, at('llama-3.2'));
  const { code, stderr } = await frugalHere(
    ...['train', ...data, '--weights', at('llama-3.2'), '--steps', '1', '--lr', '0', '--sample', '0'],
    ...['--save', at('tuned'), '--json', at('tuned.json')],
  );
  expect(code, stderr).toBe(0);

  const corpus = await openCorpus(at('lines.txt'));
  const dataset = TokenDataset.fromCorpus(corpus, byteTokenizer(), { batchSize: 4, sequenceLength: 16, seed: 1 });
  const lossOf = async (config: object): Promise<number> => {
    const model = new LlamaForCausalLM({ ...config }, { namePrefix: 'expected.' });
    model.loadWeights(weights);
    const loss = await evaluate(model, dataset.validationBatches(32));
    model.dispose();
    return loss!;
  };
  const { validationLoss } = JSON.parse(readFileSync(at('tuned.json'), 'utf8'));
  expect(validationLoss).toBe(await lossOf(CONFIG));
  // The scaling is no detail.
  expect(Math.abs(validationLoss - (await lossOf({ ...CONFIG, rope_scaling: null })))).toBeGreaterThan(1e-3);

  // What is handed on says everything that the weights need.
  const saved = JSON.parse(readFileSync(at('tuned/step-000001/config.json'), 'utf8'));
  for (const key of ['rope_scaling', 'rope_theta', 'head_dim', 'num_key_value_heads', 'eos_token_id'] as const) {
    expect(saved[key], key).toEqual(CONFIG[key]);
  }
  expect(saved.tie_word_embeddings).toBe(true);
});

test('the folder of a model says how much memory it takes', async () => {
  const { code, stdout } = await frugalHere('memory', '--config', at('llama-3.2'));
  expect(code).toBe(0);
  // 300·32 of the embedding, and per layer 2·32·32 + 2·16·32 + 3·64·32, and 5 norms of 32.
  expect(stdout).toContain(`${(9600 + 2 * (2048 + 1024 + 6144) + 160).toLocaleString('en')} weights in 20 tensors`);
});

test('the plan for a folder trains the weights in it, and for a file of a configuration a new model', async () => {
  mkdirSync(at("it's a model"));
  writeFileSync(at("it's a model/config.json"), JSON.stringify(CONFIG));
  const planned = async (config: string): Promise<string> =>
    /^ {2}frugal train (--.*) --batch/m.exec((await frugalHere('memory', '--config', config)).stdout)![1]!;
  expect(await planned(at('llama-3.2'))).toBe(`--weights ${at('llama-3.2')}`);
  expect(await planned(at('llama-3.2/config.json'))).toBe(`--config ${at('llama-3.2/config.json')}`);
  expect(await planned(at("it's a model"))).toBe(`--config '${at("it'\\''s a model")}'`);
});

test('what is missing beside config.json shows before a model is built', async () => {
  mkdirSync(at('half'));
  writeFileSync(at('half/config.json'), JSON.stringify({ ...CONFIG, hidden_size: 65536, intermediate_size: 65536 }));
  const { code, stderr } = await frugalHere('train', ...data, '--weights', at('half'), '--steps', '1');
  expect(code).toBe(1);
  expect(stderr).toMatch(/^frugal: .*half: expected a \.safetensors file, or a folder with model\.safetensors or /m);
});
