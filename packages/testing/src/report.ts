import { BrokenLaw } from './law.js';

/** What became of one law. */
export interface LawResult {
  readonly law: string;
  readonly formula: string;
  readonly why: string;
  readonly status: 'passed' | 'failed' | 'skipped';
  /** Examples on which the law was tried; for a broken law, including the one that broke it. */
  readonly runs: number;
  /** Seed of the examples; with it and the same number of runs everything repeats. */
  readonly seed: number;
  /** Why the law was skipped. */
  readonly reason?: string;
  /** The broken law for which it was skipped. */
  readonly follows?: string;
  /** What was found, on the smallest example. */
  readonly message?: string;
  /** The smallest example that breaks the law. */
  readonly counterexample?: unknown;
  /** Steps that shrinking took. */
  readonly shrinks?: number;
}

/** What became of all laws of a suite. */
export interface Report {
  /** What was tried, as reports call it. */
  readonly fixture: string;
  readonly backend: string;
  readonly seed: number;
  readonly results: readonly LawResult[];
  /** True when no law is broken. */
  readonly passed: boolean;
}

/** A broken law as text: which, on what, and how to see it again. */
export function explainFailure(result: LawResult, fixture: string): string {
  return [
    `${fixture} breaks the law "${result.law}": ${result.formula}`,
    `  ${result.message}`,
    ...(result.counterexample === undefined ? [] : [`  smallest case: ${JSON.stringify(result.counterexample)}`]),
    `  why it matters: ${result.why}`,
    `  found in run ${result.runs}; repeat with { seed: ${result.seed} }`,
  ].join('\n');
}

/** A report as text: a line per law, then the broken ones in full. */
export function formatReport(report: Report): string {
  const marks = { passed: 'ok  ', failed: 'FAIL', skipped: '-   ' } as const;
  const lines = report.results.map(result => {
    const detail = result.status === 'skipped' ? result.reason : `${result.runs} runs`;
    return `  ${marks[result.status]}  ${result.law} (${detail})`;
  });
  const failures = report.results.filter(({ status }) => status === 'failed');
  const summary = failures.length === 0 ? 'all laws hold' : `${failures.length} broken`;
  return [
    `${report.fixture} on ${report.backend}, seed ${report.seed}: ${summary}`,
    ...lines,
    ...failures.map(failure => `\n${explainFailure(failure, report.fixture)}`),
  ].join('\n');
}

/** What is wrong, in words: that of a broken law, or what was thrown and where. */
export function messageOf(error: unknown): string {
  return error instanceof BrokenLaw ? error.message : `it throws ${String(error)}${placeOf(error)}`;
}

/** Folder of this package: its own lines say nothing about the part under test. */
const HERE = new URL('.', import.meta.url);
/** Lines of other packages, also where source maps show them as the files they were built from. */
const OTHERS = /node_modules|^node:|\/tfjs-[\w-]+\/src\//;

/**
 * Where an error comes from: the innermost line of its stack outside this package and others, as ` (FILE:LINE:COLUMN)`.
 * Empty where there is none or the machine writes its stacks in another way.
 */
function placeOf(error: unknown): string {
  const lines = error instanceof Error ? (error.stack ?? '').split('\n') : [];
  for (const line of lines) {
    const place = /^\s+at (?:.*\()?(.+:\d+:\d+)\)?$/.exec(line)?.[1];
    if (place === undefined || OTHERS.test(place)) continue;
    if (!place.startsWith(HERE.href) && !place.startsWith(HERE.pathname)) return ` (${place})`;
  }
  return '';
}
