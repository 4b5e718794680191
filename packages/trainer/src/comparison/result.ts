import type { Json } from '@frugaljs/core';

/** How a run ended: `diverged` if a gradient was not finite, `interrupted` if the signal ended it. */
export type RunStatus = 'finished' | 'interrupted' | 'diverged';

/** What one method reached. */
export interface RunResult {
  /** Name of the method, as in the table. */
  readonly optimizer: string;
  readonly recipe: string;
  readonly options: { readonly [key: string]: Json | undefined };
  /** Peak of the schedule. */
  readonly learningRate: number;
  readonly status: RunStatus;
  /** Updates made. */
  readonly steps: number;
  /** Nats per token after the last step; null unless the run is finished. */
  readonly validationLoss: number | null;
  /** exp(validationLoss), per token. */
  readonly perplexity: number | null;
  /** Bytes the optimizer keeps between two steps. */
  readonly stateBytes: number;
  /** Mean wall time of the optimizer's part of a training step; null before the first step. */
  readonly msPerOptimizerStep: number | null;
  /** Mean wall time of a training step. */
  readonly msPerStep: number | null;
  /** Medians of the same. */
  readonly medianMsPerOptimizerStep: number | null;
  readonly medianMsPerStep: number | null;
  /** Training loss of every step, in nats per token. */
  readonly losses: readonly number[];
}

/** What all runs of a comparison have in common. */
export interface ComparisonSettings {
  readonly steps: number;
  readonly batch: number;
  readonly length: number;
  readonly seed: number;
  readonly backend: string;
  /** Configuration of the model, with the keys of Hugging Face's `config.json`. */
  readonly config: { readonly [key: string]: unknown };
  /** Number of weights. */
  readonly parameters: number;
  readonly tokenizer: string;
  readonly data: {
    readonly name: string;
    readonly trainTokens: number;
    readonly validationTokens: number;
  };
  /** Validation tokens that the validation loss is the mean over. */
  readonly evaluatedTokens: number;
  readonly schedule: string;
}

/** A comparison: what `--json` writes and the report shows. */
export interface Comparison {
  readonly runs: readonly RunResult[];
  readonly settings: ComparisonSettings;
  /** Whether the signal ended the comparison before its last run was finished. */
  readonly interrupted: boolean;
}
