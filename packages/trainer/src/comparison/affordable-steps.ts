import type { LlamaConfig, TokenDataset } from '@frugaljs/llama';
import { RunRecord } from '../training/record.js';
import { recordSteps, type StepCounts } from './timed-steps.js';

const COUNTS: StepCounts = { warmUp: 4, timed: 12 };
/** Methods cost more than the AdamW that is timed, runs are evaluated, and machines have moods. */
const MARGIN = 1.35;
/** A comparison of fewer steps shows nothing, whatever the time. */
const FEWEST = 20;

export interface StepBudget {
  /** The wanted number of steps, or fewer. */
  readonly steps: number;
  /** Milliseconds of a training step, as measured. */
  readonly millisecondsPerStep: number;
}

/**
 * How many steps of a number of runs fit into a time, found by a few steps of AdamW on a model that is thrown away. It
 * also warms the machine up: without it the first run would pay for compilation and look slower than the others.
 *
 * @param wanted Steps if the time is no object.
 * @param milliseconds For all runs together.
 * @returns null if the signal aborted it.
 */
export async function affordableSteps(
  config: LlamaConfig,
  data: TokenDataset,
  {
    runs,
    wanted,
    milliseconds,
    signal,
  }: {
    readonly runs: number;
    readonly wanted: number;
    readonly milliseconds: number;
    readonly signal?: AbortSignal;
  },
): Promise<StepBudget | null> {
  const record = new RunRecord();
  await recordSteps(record, config, data, COUNTS, signal);
  if (record.losses.length < COUNTS.timed) return null;
  // The median: a moment in which something else runs should not decide for the whole comparison.
  const millisecondsPerStep = record.step.median!;
  const fitting = Math.floor(milliseconds / (runs * millisecondsPerStep * MARGIN) / 10) * 10;
  return { steps: Math.min(wanted, Math.max(FEWEST, fitting)), millisecondsPerStep };
}
