/** A column of a table: its heading and what it shows of a row. */
export interface Column<Row> {
  readonly heading: string;
  readonly show: (row: Row) => string;
  /** Text stands at the left, numbers (default) at the right. */
  readonly text?: boolean;
}

/** Rows as aligned lines of text, the headings first. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): string[] {
  const cells = [columns.map(({ heading }) => heading), ...rows.map(row => columns.map(({ show }) => show(row)))];
  const widths = columns.map((_, i) => Math.max(...cells.map(line => line[i]!.length)));
  return cells.map(line =>
    line
      .map((cell, i) => (columns[i]!.text ? cell.padEnd(widths[i]!) : cell.padStart(widths[i]!)))
      .join('  ')
      .trimEnd(),
  );
}

/** A number with three significant digits, or a dash for none. */
export function digits(value: number | null): string {
  if (value === null) return '-';
  const decimals = value === 0 ? 0 : Math.max(0, Math.min(6, 2 - Math.floor(Math.log10(Math.abs(value)))));
  return value.toFixed(decimals);
}

/** Milliseconds with two decimals; of less than one, three significant digits. */
export function milliseconds(value: number): string {
  return value < 1 ? digits(value) : value.toFixed(2);
}

/** Bytes in MiB, or a dash. */
export function mebibytes(bytes: number | null): string {
  return bytes === null ? '-' : (bytes / 2 ** 20).toFixed(2);
}

export function percent(share: number | null): string {
  return share === null ? '-' : `${Math.round(100 * share)} %`;
}

/** What is reported of repeated measurements, in milliseconds. */
export interface Summary {
  readonly medianMs: number;
  readonly minMs: number;
  readonly maxMs: number;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function summarize(values: readonly number[]): Summary {
  return { medianMs: median(values), minMs: Math.min(...values), maxMs: Math.max(...values) };
}

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
