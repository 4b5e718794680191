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
