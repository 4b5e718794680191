import { recipe } from '@frugaljs/composer';
import { type LlamaConfig, LlamaForCausalLM, type TokenDataset } from '@frugaljs/llama';
import { selectBackend } from '../backend.js';
import { trainingSteps } from '../training/steps.js';
import { RunRecord } from '../training/train.js';

/** How many steps are taken, and how many of them before the clock counts. */
interface StepCounts {
  /** Kernels are made and buffers found. */
  readonly warmUp: number;
  readonly timed: number;
}

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

const BASELINE = 'wasm';
/** The backends take turns, so that a slow moment of the machine hits both. */
const TURNS = 3;
const PER_TURN: StepCounts = { warmUp: 2, timed: 4 };

/** Median milliseconds of a whole training step: batch, loss, gradients and optimizer. */
export interface AgainstWasm {
  readonly here: number;
  readonly wasm: number;
}

/**
 * Times steps of AdamW with the kernels of a backend and with those of wasm, on models that are thrown away.
 *
 * @param backend Is the current one afterwards.
 * @returns null for wasm itself, and when the signal aborted it.
 */
export async function againstWasm(
  config: LlamaConfig,
  data: TokenDataset,
  backend: string,
  signal?: AbortSignal,
): Promise<AgainstWasm | null> {
  if (backend === BASELINE) return null;
  const records = { [BASELINE]: new RunRecord(), [backend]: new RunRecord() };
  try {
    for (let turn = 0; turn < TURNS; turn++) {
      for (const [name, record] of Object.entries(records)) {
        await selectBackend(name);
        await recordSteps(record, config, data, PER_TURN, signal);
      }
    }
  } finally {
    await selectBackend(backend);
  }
  if (signal?.aborted) return null;
  return { here: records[backend]!.step.median!, wasm: records[BASELINE]!.step.median! };
}

/** Takes steps of AdamW on a model that is thrown away, and records all but the first ones. Fewer when aborted. */
async function recordSteps(
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
