import '@frugaljs/backend-wasm';
import { setBackend } from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, it } from 'vitest';
import {
  FormatError,
  generate,
  LlamaForCausalLM,
  llama2cTokenizer,
  llamaConfig,
  parameterCount,
  parseDocuments,
  readLlama2c,
} from '../src/index.js';
import { readContent, readText } from '../src/node/index.js';
import { dataFile } from './data-folder.js';

const checkpoint = dataFile('checkpoints/stories260K/stories260K.bin');
const pieces = dataFile('checkpoints/stories260K/tok512.bin');
const stories = dataFile('tinystories/v2-1727.txt.gz');

/** A version 0 file of one layer, width 4, two heads of which one is for keys: every number is its own position. */
function smallFile(vocabulary: number): Uint8Array {
  const [d, f, heads, keyValueHeads, length, headDim] = [4, 3, 2, 1, 5, 2];
  const size = Math.abs(vocabulary);
  const attention = 2 * d * d + 2 * keyValueHeads * headDim * d;
  const numbers = size * d * (vocabulary < 0 ? 2 : 1) + 2 * d + attention + 3 * d * f + d + length * headDim;
  const file = new DataView(new ArrayBuffer(28 + 4 * numbers));
  for (const [i, x] of [d, f, 1, heads, keyValueHeads, vocabulary, length].entries()) file.setInt32(4 * i, x, true);
  for (let i = 0; i < numbers; i++) file.setFloat32(28 + 4 * i, i, true);
  return new Uint8Array(file.buffer);
}

describe('readLlama2c', () => {
  it('takes the tensors in their order and pairs the halves of each head', () => {
    const { config, weights } = readLlama2c(smallFile(-3));
    expect(config).toEqual(
      llamaConfig({
        vocab_size: 3,
        hidden_size: 4,
        intermediate_size: 3,
        num_hidden_layers: 1,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        max_position_embeddings: 5,
        rms_norm_eps: 1e-5,
        tie_word_embeddings: false,
      }),
    );
    const firsts = Object.fromEntries(Object.entries(weights).map(([name, { data }]) => [name, data[0]]));
    expect(firsts).toEqual({
      'model.embed_tokens.weight': 0,
      'model.layers.0.input_layernorm.weight': 12,
      'model.layers.0.self_attn.q_proj.weight': 16,
      'model.layers.0.self_attn.k_proj.weight': 32,
      'model.layers.0.self_attn.v_proj.weight': 40,
      'model.layers.0.self_attn.o_proj.weight': 48,
      'model.layers.0.post_attention_layernorm.weight': 64,
      'model.layers.0.mlp.gate_proj.weight': 68,
      'model.layers.0.mlp.down_proj.weight': 80,
      'model.layers.0.mlp.up_proj.weight': 92,
      'model.norm.weight': 104,
      'lm_head.weight': 118,
    });
  });

  it('reads a Buffer that starts anywhere in its memory', () => {
    const file = smallFile(3);
    const shifted = Buffer.concat([Buffer.alloc(3), file]).subarray(3);
    expect(readLlama2c(shifted)).toEqual(readLlama2c(file));
    expect(readLlama2c(file).config.tie_word_embeddings).toBe(true);
  });

  it('pairs channels (2i, 2i+1) as (i, i + headDim/2)', () => {
    const wide = new Uint8Array(smallFileOfHeadDim4());
    const rows = readLlama2c(wide).weights['model.layers.0.self_attn.q_proj.weight']!.data;
    const order = Array.from({ length: 4 }, (_, row) => rows[row * 4]! - 8);
    // Rows 0, 4, 8, 12 of a stored matrix of width 4 that begins at number 8.
    expect(order).toEqual([0, 8, 4, 12]);
  });

  it.each([
    ['an empty file', new Uint8Array(0), /0 bytes.*|header of 28 bytes/],
    ['a cut file', smallFile(3).subarray(0, 100), /found "100 bytes"/],
    ['another file', new Uint8Array(64).fill(255), /version 0 header/],
  ])('refuses %s', (_, bytes, message) => {
    expect(() => readLlama2c(bytes)).toThrow(FormatError);
    expect(() => readLlama2c(bytes)).toThrow(message);
  });
});

function smallFileOfHeadDim4(): ArrayBuffer {
  const [d, f, vocabulary, length] = [4, 1, 1, 1];
  const numbers = vocabulary * d + d + 4 * d * d + d + 3 * d * f + d + length * 4;
  const file = new DataView(new ArrayBuffer(28 + 4 * numbers));
  for (const [i, x] of [d, f, 1, 1, 1, vocabulary, length].entries()) file.setInt32(4 * i, x, true);
  for (let i = 0; i < numbers; i++) file.setFloat32(28 + 4 * i, i, true);
  return file.buffer;
}

describe.skipIf(checkpoint === null || pieces === null)('stories260K', () => {
  beforeAll(async () => {
    await setBackend('wasm');
  });

  it('has 260,032 parameters', async () => {
    const { config } = readLlama2c(await readContent(checkpoint!));
    expect(parameterCount(config).total).toBe(260_032);
    expect(config).toMatchObject({ hidden_size: 64, num_hidden_layers: 5, num_key_value_heads: 4, vocab_size: 512 });
  });

  it.skipIf(stories === null)('predicts 60 stories, 256 tokens of each, with 1.262 nats per token', async () => {
    const { config, weights } = readLlama2c(await readContent(checkpoint!));
    const model = new LlamaForCausalLM(config);
    model.loadWeights(weights);
    const tokenizer = llama2cTokenizer(await readContent(pieces!));
    const documents = parseDocuments(await readText(stories!), 'text', 'stories').slice(0, 60);
    let total = 0;
    for (const document of documents) {
      const ids = [tokenizer.separator!, ...Array.from(tokenizer.encode(document.trim()))].slice(0, 256);
      const loss = model.loss([ids]);
      total += loss.dataSync()[0]!;
      loss.dispose();
    }
    expect(total / documents.length).toBeCloseTo(1.262, 3);
    model.dispose();
  });

  it('continues the most usual beginning as it was trained to', async () => {
    const { config, weights } = readLlama2c(await readContent(checkpoint!));
    const model = new LlamaForCausalLM(config);
    model.loadWeights(weights);
    const tokenizer = llama2cTokenizer(await readContent(pieces!));
    const prompt = [tokenizer.separator!, ...Array.from(tokenizer.encode('Once upon a time, there was'))];
    const story = tokenizer.decode(await generate(model, prompt, { maxNewTokens: 12, temperature: 0 }));
    expect(story).toMatch(/^ ?a little girl named Lily/);
    model.dispose();
  });
});
