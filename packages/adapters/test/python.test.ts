import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import '@frugaljs/backend-wasm';
import { MemorySink, writeSafetensors } from '@frugaljs/checkpoint';
import { huggingFaceConfig, LlamaForCausalLM, llamaConfig } from '@frugaljs/llama';
import { setBackend } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { worstError } from '../../../tools/test-support/closeness.js';
import { findPython, runPython } from '../../../tools/test-support/python.js';
import { Lora, type LoraOptions, loadPeft, type PeftFiles, peftFiles } from '../src/index.js';
import { numbers } from './linear-model.js';

/** Importing them takes seconds; that they are installed is known at once. */
const PROBE = `
from importlib.util import find_spec
for name in ['torch', 'transformers', 'peft']:
    if find_spec(name) is None: raise ModuleNotFoundError(f'no {name}')
`;
const python = findPython('torch, transformers and peft', PROBE);

const NAMES = ['adapter_config.json', 'adapter_model.safetensors'] as const;
const TOKENS = [[1, 5, 9, 33, 96, 0, 4, 4]];

/** Prints the logits of a base model with an adapter. */
const READ = `
import json, sys, torch
from transformers import AutoModelForCausalLM
from peft import PeftModel
base, adapter, tokens = sys.argv[1:4]
model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), adapter).eval()
with torch.no_grad(): print(json.dumps(model(torch.tensor(json.loads(tokens))).logits.flatten().tolist()))
`;

/** Saves an adapter of PEFT's own, with numbers in B, and prints the logits with it. */
const WRITE = `
import json, sys, torch
from transformers import AutoModelForCausalLM
from peft import LoraConfig, get_peft_model
base, adapter, tokens, options = sys.argv[1:5]
torch.manual_seed(0)
model = get_peft_model(AutoModelForCausalLM.from_pretrained(base), LoraConfig(task_type='CAUSAL_LM', **json.loads(options))).eval()
for name, part in model.named_parameters():
    if 'lora_B' in name: torch.nn.init.normal_(part, std=0.2)
model.save_pretrained(adapter)
with torch.no_grad(): print(json.dumps(model(torch.tensor(json.loads(tokens))).logits.flatten().tolist()))
`;

const run = (script: string, ...args: readonly string[]): number[] =>
  JSON.parse(
    runPython(python!, script, ...args)
      .trim()
      .split('\n')
      .at(-1)!,
  );

describe.skipIf(python === null)('adapters of PEFT', () => {
  let folder: string;
  let base: string;
  const config = llamaConfig({
    ...{ vocab_size: 97, hidden_size: 32, intermediate_size: 48, num_hidden_layers: 2, num_attention_heads: 4 },
    initializer_range: 0.2,
  });
  let model: LlamaForCausalLM;

  beforeAll(async () => {
    await setBackend('wasm');
    folder = mkdtempSync(join(tmpdir(), 'frugal-test-'));
    base = join(folder, 'base');
    model = new LlamaForCausalLM(config, { seed: 3 });
    mkdirSync(base);
    writeFileSync(join(base, 'config.json'), JSON.stringify(huggingFaceConfig(config)));
    const sink = new MemorySink();
    const tensors = Object.entries(model.parameters()).map(([name, weight]) => ({
      ...{ name, dtype: 'F32' as const, shape: weight.shape, data: weight.dataSync<'float32'>() },
    }));
    await writeSafetensors(sink, tensors, { format: 'pt' });
    writeFileSync(join(base, 'model.safetensors'), sink.bytes());
  });
  afterAll(() => {
    model.dispose();
    rmSync(folder, { recursive: true, force: true });
  });

  const close = (found: ArrayLike<number>, expected: ArrayLike<number>): void =>
    expect(worstError(Float32Array.from(found), Float32Array.from(expected))).toBeLessThan(1e-5);

  test.each<readonly [LoraOptions]>([
    [{ r: 3, loraAlpha: 6 }],
    [{ r: 2, targetModules: ['q_proj', 'down_proj'], useRslora: true }],
    [{ r: 1, targetModules: /1\.mlp\.up/ }],
  ])('PEFT computes the same with an adapter of ours: %j', { timeout: 120_000 }, async options => {
    const lora = new Lora(model, options);
    for (const [i, part] of Object.values(lora.parameters()).entries()) part.assign(numbers(part.shape, i));
    const logits = model.forward(TOKENS).dataSync();
    const files = await peftFiles(lora);
    lora.unload();
    const adapter = join(folder, `ours-${options.r}`);
    mkdirSync(adapter);
    for (const name of NAMES) writeFileSync(join(adapter, name), files[name]);
    close(run(READ, base, adapter, JSON.stringify(TOKENS)), logits);
  });

  test.each([
    { r: 3, lora_alpha: 6, target_modules: ['k_proj', 'up_proj'] },
    { r: 2, target_modules: 'all-linear', use_rslora: true },
    { r: 2, target_modules: 'all-linear', init_lora_weights: 'gaussian' },
  ])('an adapter of PEFT computes the same here: %j', { timeout: 120_000 }, async options => {
    const adapter = join(folder, `theirs-${JSON.stringify(options).length}`);
    const expected = run(WRITE, base, adapter, JSON.stringify(TOKENS), JSON.stringify(options));
    const files = Object.fromEntries(NAMES.map(name => [name, readFileSync(join(adapter, name))]));
    const lora = await loadPeft(model, files as unknown as PeftFiles);
    close(model.forward(TOKENS).dataSync(), expected);
    lora.unload();
  });
});
