import type { MemoryReport } from './memory-report.js';

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

/** @param kernelOf What runs a parameter that has been trained; undefined before its first update. */
export function explain(report: MemoryReport, kernelOf: (parameter: string) => string | undefined): Explanation {
  return report.map(({ parameter, shape, rule, stateBytes }) => ({
    parameter,
    shape,
    rule,
    kernel: rule === '(frozen)' ? 'none' : (kernelOf(parameter) ?? 'chosen at the first update'),
    stateBytes,
  }));
}
