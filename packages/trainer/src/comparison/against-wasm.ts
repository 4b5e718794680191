import type { LlamaConfig, TokenDataset } from '@frugaljs/llama';
import { selectBackend } from '../backend.js';
import { RunRecord } from '../training/record.js';
import { recordSteps, type StepCounts } from './timed-steps.js';

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
