import type { Summary } from './samples.js';
import { type Column, milliseconds } from './table.js';

/** What every row of a benchmark tells. */
export interface TimedRow extends Summary {
  readonly backend: string;
  readonly method: string;
  readonly rounds: number;
}

/** The columns that every table of a benchmark starts with. */
export const TIME_COLUMNS: readonly Column<TimedRow>[] = [
  { heading: 'backend', show: row => row.backend, text: true },
  { heading: 'method', show: row => row.method, text: true },
  { heading: 'median ms', show: row => milliseconds(row.medianMs) },
  { heading: 'min', show: row => milliseconds(row.minMs) },
  { heading: 'max', show: row => milliseconds(row.maxMs) },
  { heading: 'rounds', show: row => String(row.rounds) },
];
