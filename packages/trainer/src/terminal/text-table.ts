/** Which side the cells of a column keep to. */
export type Alignment = 'left' | 'right';

/**
 * Text in columns.
 *
 * @param alignment One per column; default: the first one to the left, the others, which hold numbers, to the right.
 */
export function textTable(
  header: readonly string[],
  rows: readonly (readonly string[])[],
  alignment: readonly Alignment[] = header.map((_, column) => (column === 0 ? 'left' : 'right')),
): string {
  const widths = header.map((_, column) => Math.max(...[header, ...rows].map(row => width(row[column]!))));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, column) => pad(cell, widths[column]!, alignment[column]!))
      .join('   ')
      .trimEnd();
  const rule = widths.map(each => '─'.repeat(each)).join('───');
  return [line(header), rule, ...rows.map(line)].join('\n');
}

function pad(cell: string, to: number, side: Alignment): string {
  const space = ' '.repeat(to - width(cell));
  return side === 'right' ? space + cell : cell + space;
}

/** Characters rather than UTF-16 units. */
function width(text: string): number {
  return [...text].length;
}
