import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { huggingFaceConfig, LlamaForCausalLM, llamaConfig } from '@frugaljs/llama';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../../tools/test-support/folders.js';
import { findPython, runPython } from '../../../tools/test-support/python.js';
import { CheckpointStorageError, Checkpoints, InvalidCheckpointError } from '../src/index.js';
import { FolderStore, readWeights } from '../src/node/index.js';
import '@tensorflow/tfjs-backend-cpu';

/** Importing them takes seconds; that they are installed is known at once. */
const PROBE = `
from importlib.util import find_spec
for name in ['torch', 'transformers', 'safetensors']:
    if find_spec(name) is None: raise ModuleNotFoundError(f'no {name}')
`;

const python = findPython('torch and transformers', PROBE);

/** What a script prints in its last line. */
function run(script: string, ...args: string[]): unknown {
  return JSON.parse(
    runPython(python!, script, ...args)
      .trim()
      .split('\n')
      .at(-1)!,
  );
}

const small = { vocab_size: 97, hidden_size: 32, intermediate_size: 48, num_hidden_layers: 2, num_attention_heads: 4 };
const LLAMA_3 = {
  rope_type: 'llama3',
  factor: 8,
  low_freq_factor: 2,
  high_freq_factor: 8,
  original_max_position_embeddings: 64,
};
const MODELS: readonly Readonly<Record<string, unknown>>[] = [
  small,
  // Shared heads, a tied output layer, another rotary base.
  {
    ...small,
    num_key_value_heads: 2,
    head_dim: 16,
    tie_word_embeddings: true,
    rope_theta: 5000,
    rms_norm_eps: 1e-5,
    bos_token_id: 1,
    eos_token_id: 2,
  },
  // Llama 3's scaling: with wavelengths of 6.3, 16.7, 44 and 118 positions, the first stays, the second is blended, and
  // the others are divided. Weights so large that a turn shows in the logits.
  { ...small, num_key_value_heads: 1, initializer_range: 0.2, rope_theta: 50, rope_scaling: LLAMA_3 },
  { ...small, initializer_range: 0.2, rope_theta: 50, rope_scaling: { rope_type: 'linear', factor: 2.5 } },
];
const TOKENS = [
  [1, 5, 9, 33, 96, 0, 4, 4],
  [7, 8, 9, 10, 11, 12, 13, 14],
];

/** Largest difference of two lists of logits; both are float32 sums of a few hundred products. */
function difference(ours: ArrayLike<number>, theirs: readonly number[]): number {
  expect(theirs.length).toBe(ours.length);
  return theirs.reduce((largest, x, i) => Math.max(largest, Math.abs(x - ours[i]!)), 0);
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe.skipIf(python === null)("Hugging Face's transformers", () => {
  test('loads checkpoints, and computes the same', async () => {
    const folder = temporaryFolder();
    const ours: Float32Array[] = [];
    for (const [i, sizes] of MODELS.entries()) {
      const config = llamaConfig(sizes);
      const model = new LlamaForCausalLM(config, { seed: 3 });
      const checkpoints = new Checkpoints({ store: new FolderStore(`${folder}/${i}`) });
      await checkpoints.save({ step: 1, model: model.parameters(), config: huggingFaceConfig(config) });
      await checkpoints.settled();
      ours.push(model.forward(TOKENS).dataSync<'float32'>().slice());
      model.dispose();
    }
    const theirs = run(
      `
import json, sys, torch
from transformers import AutoModelForCausalLM
results = []
for i in range(int(sys.argv[2])):
    model, info = AutoModelForCausalLM.from_pretrained(f'{sys.argv[1]}/{i}/step-000001', output_loading_info=True)
    with torch.no_grad(): logits = model(torch.tensor(json.loads(sys.argv[3]))).logits
    results.append([[str(v) for v in info.values() if v], logits.flatten().tolist()])
print(json.dumps(results))
`,
      folder,
      `${MODELS.length}`,
      JSON.stringify(TOKENS),
    ) as [string[], number[]][];
    for (const [i, [problems, logits]] of theirs.entries()) {
      expect(problems).toEqual([]);
      expect(difference(ours[i]!, logits)).toBeLessThan(1e-5);
    }
  });

  test('saves models, in one precision or another and in several files, that are loaded here and compute the same', async () => {
    const folder = temporaryFolder();
    const theirs = run(
      `
import json, sys, torch
from transformers import LlamaConfig, LlamaForCausalLM
torch.manual_seed(0)
folder, models, tokens = sys.argv[1], json.loads(sys.argv[2]), json.loads(sys.argv[3])
results = {}
for i, sizes in enumerate(models):
    for form in ['float32', 'bfloat16', 'float16', 'shards']:
        model = LlamaForCausalLM(LlamaConfig(**sizes)).eval()
        if 'float' in form: model = model.to(getattr(torch, form))
        model.save_pretrained(f'{folder}/{i}-{form}', **({'max_shard_size': '20KB'} if form == 'shards' else {}))
        # Loaded anew: a model that is converted also rounds its rotary frequencies.
        model = LlamaForCausalLM.from_pretrained(f'{folder}/{i}-{form}', dtype=torch.float32)
        with torch.no_grad(): results[f'{i}-{form}'] = model(torch.tensor(tokens)).logits.flatten().tolist()
print(json.dumps(results))
`,
      folder,
      JSON.stringify(MODELS),
      JSON.stringify(TOKENS),
    ) as Record<string, number[]>;
    expect(Object.keys(theirs)).toHaveLength(4 * MODELS.length);
    for (const [name, logits] of Object.entries(theirs)) {
      const config = llamaConfig(JSON.parse(readFileSync(`${folder}/${name}/config.json`, 'utf8')));
      const model = new LlamaForCausalLM(config);
      model.loadWeights(await readWeights(`${folder}/${name}`));
      expect(difference(model.forward(TOKENS).dataSync(), logits), name).toBeLessThan(1e-5);
      if (config.rope_scaling !== undefined) {
        const { rope_scaling: _, ...unscaled } = config;
        const other = new LlamaForCausalLM(unscaled, { namePrefix: 'unscaled.' });
        other.loadWeights(model.parameters());
        expect(difference(other.forward(TOKENS).dataSync(), logits), name).toBeGreaterThan(1e-2);
        other.dispose();
      }
      model.dispose();
    }
  });
});

describe('readWeights', () => {
  const model = { a: [1.5, -2], b: [3] };
  const save = async (): Promise<string> => {
    const store = new FolderStore(temporaryFolder());
    const checkpoints = new Checkpoints({ store });
    const tensors = Object.entries(model).map(([name, values]) => [name, tf.tensor1d(values)] as const);
    await checkpoints.save({ step: 1, model: Object.fromEntries(tensors) });
    await checkpoints.settled();
    return `${store.location}/step-000001`;
  };
  const expected = { a: { shape: [2], data: Float32Array.of(1.5, -2) }, b: { shape: [1], data: Float32Array.of(3) } };

  test('reads a checkpoint, its file, and several files by an index', async () => {
    const folder = await save();
    expect(await readWeights(folder)).toEqual(expected);
    expect(await readWeights(`${folder}/model.safetensors`)).toEqual(expected);
    const other = temporaryFolder();
    for (const name of ['one', 'two']) {
      writeFileSync(`${other}/${name}.safetensors`, readFileSync(`${folder}/model.safetensors`));
    }
    const index = { weight_map: { a: 'one.safetensors', b: 'two.safetensors' } };
    writeFileSync(`${other}/model.safetensors.index.json`, JSON.stringify(index));
    expect(await readWeights(other)).toEqual(expected);
    expect(await readWeights(`${other}/model.safetensors.index.json`)).toEqual(expected);
  });

  test.each([
    ['a tensor that is not there', { weight_map: { c: 'model.safetensors' } }, /: c: .*no tensor of that name/],
    ['a file elsewhere', { weight_map: { a: '../model.safetensors' } }, /plain file name/],
    ['no file', { weight_map: { a: null } }, /plain file name/],
    ['nothing', [], /weight_map/],
    ['null', null, /weight_map/],
  ])('refuses an index that names %s', async (_, index, message) => {
    const folder = await save();
    const path = `${folder}/model.safetensors.index.json`;
    writeFileSync(path, JSON.stringify(index));
    await expect(readWeights(path)).rejects.toThrow(InvalidCheckpointError);
    await expect(readWeights(path)).rejects.toThrow(message);
  });

  test('says what it found in the place of weights', async () => {
    const folder = await save();
    rmSync(`${folder}/model.safetensors`);
    writeFileSync(`${folder}/pytorch_model.bin`, '');
    await expect(readWeights(folder)).rejects.toThrow(CheckpointStorageError);
    await expect(readWeights(folder)).rejects.toThrow(/pytorch_model\.bin.*save_pretrained/);
    await expect(readWeights(`${folder}/nothing`)).rejects.toThrow(/nothing there/);
  });
});
