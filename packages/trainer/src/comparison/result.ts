import type { Json } from '@frugaljs/core';
import { formatBytes, formatCount, formatMilliseconds, textTable } from '../terminal/text.js';

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

/** What is compared unless the user says otherwise; sized for three minutes on two cores. */
export interface ComparisonDefaults {
  readonly optimizers: string;
  readonly steps: number;
  readonly batch: number;
  readonly length: number;
  readonly seed: number;
  readonly data: string;
  /** Minutes that the comparison may take in all. */
  readonly minutes: number;
}

export const COMPARISON_DEFAULTS: ComparisonDefaults = {
  optimizers: 'adamW,frugal,frugal:density=0,badam,galore',
  steps: 400,
  batch: 8,
  length: 64,
  seed: 1,
  data: 'shakespeare',
  minutes: 4,
};

/** Column titles of a comparison, in the terminal and in the report. */
export const COLUMNS = [
  'optimizer',
  'validation loss',
  'perplexity',
  'optimizer state',
  'ms / optimizer step',
  'ms / training step',
] as const;

/** The result of a run as text, one cell per column. */
export function cells(run: RunResult): readonly string[] {
  return [
    run.optimizer,
    run.validationLoss === null ? outcome(run) : run.validationLoss.toFixed(3),
    run.perplexity === null ? '–' : formatPerplexity(run.perplexity),
    formatBytes(run.stateBytes),
    formatMilliseconds(run.msPerOptimizerStep),
    formatMilliseconds(run.msPerStep),
  ];
}

/** The comparison as a table for the terminal. */
export function comparisonTable({ runs }: Pick<Comparison, 'runs'>): string {
  return textTable(COLUMNS, runs.map(cells));
}

/** Four significant digits, and an exponent where a number would be wider than its column. */
export function formatPerplexity(perplexity: number): string {
  return perplexity >= 9999.5 ? perplexity.toExponential(2) : perplexity.toPrecision(4);
}

function outcome({ status, steps }: RunResult): string {
  return status === 'diverged' ? `diverged at step ${steps + 1}` : `stopped at step ${steps}`;
}

/** One sentence on what the comparison can show and what not. */
export function caveat({ steps, parameters }: Pick<ComparisonSettings, 'steps' | 'parameters'>): string {
  return (
    `A run of ${formatCount(steps)} step${steps === 1 ? '' : 's'} on ${formatCount(parameters)} weights shows what each method stores and costs, and that it ` +
    'learns; it does not rank them: differences of a few hundredths in loss are within what another seed changes, and ' +
    'methods that restart their moments often look better early than they do after the 100,000s of steps of a real run.'
  );
}
