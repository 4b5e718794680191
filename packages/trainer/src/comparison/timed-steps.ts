import { recipe } from '@frugaljs/composer';
import { type LlamaConfig, LlamaForCausalLM, type TokenDataset } from '@frugaljs/llama';
import type { RunRecord } from '../training/record.js';
import { trainingSteps } from '../training/steps.js';

/** How many steps are taken, and how many of them before the clock counts. */
export interface StepCounts {
  /** Kernels are made and buffers found. */
  readonly warmUp: number;
  readonly timed: number;
}

/** Takes steps of AdamW on a model that is thrown away, and records all but the first ones. Fewer when aborted. */
export async function recordSteps(
  record: RunRecord,
  config: LlamaConfig,
  data: TokenDataset,
  { warmUp, timed }: StepCounts,
  signal: AbortSignal | undefined,
): Promise<void> {
  const model = new LlamaForCausalLM(config);
  const optimizer = recipe('adamW');
  try {
    for await (const step of trainingSteps({ model, optimizer, data, steps: warmUp + timed, signal })) {
      if (step.step > warmUp) record.add(step);
    }
  } finally {
    optimizer.dispose();
    model.dispose();
  }
}
