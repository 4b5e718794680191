import { summarize } from '../samples.js';
import { type Column, digits, mebibytes, percent } from '../table.js';
import { TIME_COLUMNS, type TimedRow } from '../time-columns.js';
import type { Contender } from './contender.js';

/** What is reported of a method on a backend. */
export interface Row extends TimedRow {
  /** What ran the step. */
  readonly kernels: string;
  readonly params: number;
  /** Median of `tf.train.adam` on the same backend over that of the method: above 1 is faster. */
  readonly ratioAdam: number | null;
  /** The same of `tf.train.sgd`. */
  readonly ratioSgd: number | null;
  /** Bytes that must be moved, over the median. */
  readonly gbPerSecond: number | null;
  /** `gbPerSecond` over that of `copy` on the same backend. */
  readonly shareOfCopy: number | null;
  /** Most memory that a step takes on top of what is there before it. */
  readonly peakBytes: number | null;
  readonly bytesPerParameter: number | null;
}

/** Rows of contenders and their samples, in the same order. */
export function rowsOf(contenders: readonly Contender[], samples: readonly (readonly number[])[]): Row[] {
  const measured = contenders.map((contender, i) => {
    const summary = summarize(samples[i]!);
    const bytes = contender.bytes();
    return { contender, summary, bytes, gbPerSecond: bytes === null ? null : bytes / 1e6 / summary.medianMs };
  });
  const of = (backend: string, method: string): (typeof measured)[number] | undefined =>
    measured.find(({ contender }) => contender.backend === backend && contender.method === method);
  return measured.map(({ contender, summary, bytes, gbPerSecond }, i): Row => {
    const { backend, method, params } = contender;
    const ratio = (reference: string): number | null => {
      const other = of(backend, reference);
      return other === undefined || other.contender.params !== params
        ? null
        : other.summary.medianMs / summary.medianMs;
    };
    const copied = of(backend, 'copy')?.gbPerSecond ?? null;
    return {
      backend,
      method,
      kernels: contender.kernels(),
      params,
      ...summary,
      ratioAdam: ratio('tf.train.adam'),
      ratioSgd: ratio('tf.train.sgd'),
      gbPerSecond,
      shareOfCopy: gbPerSecond === null || copied === null ? null : gbPerSecond / copied,
      peakBytes: contender.peakBytes(),
      bytesPerParameter: bytes === null ? null : bytes / params,
      rounds: samples[i]!.length,
    };
  });
}

export const COLUMNS: readonly Column<Row>[] = [
  ...TIME_COLUMNS,
  { heading: '× adam', show: row => digits(row.ratioAdam) },
  { heading: '× sgd', show: row => digits(row.ratioSgd) },
  { heading: 'bytes/param', show: row => digits(row.bytesPerParameter) },
  { heading: 'GB/s', show: row => digits(row.gbPerSecond) },
  { heading: 'of copy', show: row => percent(row.shareOfCopy) },
  { heading: 'peak MiB', show: row => mebibytes(row.peakBytes) },
  { heading: 'kernels', show: row => row.kernels, text: true },
];
