import type { MemoryReport } from './memory-report.js';
import type { ComposeOptions } from './options.js';

/** How one parameter is trained. */
export interface ExplanationRow {
  readonly parameter: string;
  readonly shape: string;
  /** The expression that trains it. */
  readonly rule: string;
  /** What runs the expression, and why. */
  readonly kernel: string;
  readonly stateBytes: number;
}

/** Rows in the order of the parameters. */
export type Explanation = readonly ExplanationRow[];

export function explain(_options: ComposeOptions, report: MemoryReport): Explanation {
  return report.map(({ parameter, shape, rule, stateBytes }) => ({
    parameter,
    shape,
    rule,
    kernel: rule === '(frozen)' ? 'none' : 'reference (tfjs operations)',
    stateBytes,
  }));
}
