import { textTable } from '../terminal/text-table.js';
import { formatBytes, formatMilliseconds } from '../terminal/units.js';
import type { Comparison, RunResult } from './result.js';

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
