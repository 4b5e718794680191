import type { Comparison, RunResult } from '../../src/comparison/result.js';

/** A run with round numbers, for what only shows runs. */
export function runResult(overrides: Partial<RunResult> = {}): RunResult {
  return {
    optimizer: 'AdamW',
    recipe: 'adamW',
    options: { beta2: 0.95 },
    learningRate: 0.003,
    status: 'finished',
    steps: 4,
    validationLoss: 2.25,
    perplexity: Math.exp(2.25),
    stateBytes: 3_940_000,
    msPerOptimizerStep: 8.125,
    msPerStep: 123.4,
    medianMsPerOptimizerStep: 8,
    medianMsPerStep: 120,
    losses: [5.5, 4.5, 3.5, 2.5],
    ...overrides,
  };
}

export function comparisonOf(runs: readonly RunResult[], interrupted = false): Comparison {
  return {
    runs,
    settings: {
      steps: 4,
      batch: 8,
      length: 64,
      seed: 1,
      backend: 'wasm',
      config: { num_hidden_layers: 4, hidden_size: 96, num_attention_heads: 4 },
      parameters: 492576,
      tokenizer: 'bytes',
      data: { name: 'shakespeare', trainTokens: 1003837, validationTokens: 111559 },
      evaluatedTokens: 16384,
      schedule: 'constant',
    },
    interrupted,
  };
}
