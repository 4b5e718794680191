import '@frugaljs/backend-wasm';
import { recipe } from '@frugaljs/composer';
import { LlamaForCausalLM } from '@frugaljs/llama';
import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { describeOnDevice } from './device.js';

const STEPS = 200;

const CONFIG = {
  vocab_size: 11,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 1,
  num_attention_heads: 2,
  num_key_value_heads: 2,
  max_position_embeddings: 16,
};

/** Sentences over a small alphabet with a rule in them: each token is the one before plus the step of the row. */
function batch(step: number): number[][] {
  return [1, 2, 3, 4].map((stride, i) => Array.from({ length: 9 }, (_, t) => (step + 3 * i + stride * t) % 11));
}

async function lossesOn(backend: string): Promise<number[]> {
  await tf.setBackend(backend);
  const model = new LlamaForCausalLM(CONFIG, { seed: 5 });
  const optimizer = recipe('frugal-columns', { learningRate: 0.01, updateGap: 40, clip: { globalNorm: 1 } });
  const losses: number[] = [];
  for (let step = 0; step < STEPS; step++) {
    const loss = optimizer.minimize(() => model.loss(batch(step)), true, Object.values(model.parameters()))!;
    losses.push((await loss.data())[0]!);
    loss.dispose();
  }
  await optimizer.settled();
  optimizer.dispose();
  model.dispose();
  return losses;
}

describeOnDevice('training', () => {
  test(`${STEPS} steps of FRUGAL follow the losses on wasm`, { timeout: 240_000 }, async () => {
    const [wasm, webgpu] = [await lossesOn('wasm'), await lossesOn('webgpu')];
    expect(wasm.at(-1)!).toBeLessThan(0.7 * wasm[0]!);
    const worst = Math.max(...wasm.map((loss, i) => Math.abs(loss - webgpu[i]!)));
    console.log(`loss from ${wasm[0]} to ${wasm.at(-1)}; largest difference ${worst}`);
    expect(worst).toBeLessThan(1e-2);
  });
});
