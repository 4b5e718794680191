import '@frugaljs/backend-wasm/cpu';
import '@tensorflow/tfjs-backend-cpu';
import { compose, residual, subspace } from '@frugaljs/composer';
import { LlamaForCausalLM, llamaConfig } from '@frugaljs/llama';
import { rows, svd } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import { memory, setBackend } from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { missing } from './tensorflow.js';

const CONFIG = llamaConfig({
  vocab_size: 17,
  hidden_size: 16,
  intermediate_size: 24,
  num_hidden_layers: 2,
  num_attention_heads: 2,
  max_position_embeddings: 16,
});

/** Sentences of a language in which each token follows from the two before it. */
const TOKENS = Array.from({ length: 8 }, (_, row) => {
  const tokens = [row, (3 * row + 1) % 17];
  while (tokens.length < 12) tokens.push((tokens.at(-1)! + 2 * tokens.at(-2)! + 1) % 17);
  return tokens;
});

/** The losses of a small LLaMA over some steps; adamW for what is no matrix of a block, as in the recipes. */
async function train(backend: string, steps: number): Promise<number[]> {
  await setBackend(backend);
  const start = memory().numTensors;
  const model = new LlamaForCausalLM(CONFIG, { seed: 5 });
  const split = (projector: ReturnType<typeof rows>): ReturnType<typeof subspace> =>
    subspace({ projector, rule: adamW(), combine: residual(signSgd(), { scale: 0.1 }), refresh: { every: 10 } });
  const optimizer = compose({
    learningRate: 0.01,
    groups: [
      { match: /norm|embed|lm_head/, use: adamW() },
      {
        match: /down_proj/,
        use: subspace({ projector: svd({ density: 0.25 }), rule: adamW(), refresh: { every: 10 } }),
      },
      { use: split(rows({ density: 0.25 })), weightDecay: 0.01 },
    ],
    clip: { globalNorm: 1 },
  });
  const losses: number[] = [];
  for (let step = 0; step < steps; step++) {
    const loss = optimizer.minimize(() => model.loss(TOKENS), true)!;
    losses.push(loss.dataSync()[0]!);
    loss.dispose();
  }
  optimizer.dispose();
  model.dispose();
  expect(memory().numTensors).toBe(start);
  return losses;
}

describe.skipIf(missing !== null)('training on tensorflow', () => {
  test('a small LLaMA learns, and takes the steps that it takes on cpu', async () => {
    const losses = await train('tensorflow', 60);
    expect(losses[0]).toBeGreaterThan(2.5);
    expect(losses.at(-1)).toBeLessThan(1);
    const onCpu = await train('cpu', 4);
    onCpu.forEach((loss, step) => void expect(Math.abs(losses[step]! - loss)).toBeLessThan(1e-3));
  });
});
