import { readFileSync } from 'node:fs';

/** The cells of a row as they are written, without the spaces around them. */
export type Row = readonly string[];

/** The tables of a README, for tests that hold them against what the code says. */
export class ReadmeTables {
  readonly #lines: readonly string[];

  constructor(readme: URL) {
    this.#lines = readFileSync(readme, 'utf8').split('\n');
  }

  /** The rows of the first table below a line, such as a heading. */
  after(line: string): Row[] {
    const start = this.#lines.indexOf(line);
    if (start < 0) throw new Error(`the README has no line "${line}"`);
    return this.#rowsFrom(this.#lines.findIndex((each, i) => i > start && each.startsWith('|')));
  }

  /** The rows of the table whose header starts with these titles; a cell that is all code comes without its backquotes. */
  titled(...titles: readonly string[]): Row[] {
    const header = this.#lines.findIndex(line => titles.every((title, i) => cellsOf(line)[i] === title));
    if (header < 0) throw new Error(`the README has no table of ${titles.join(', ')}`);
    return this.#rowsFrom(header).map(cells => cells.map(cell => cell.replace(/^`(.*)`$/, '$1')));
  }

  #rowsFrom(header: number): Row[] {
    const end = this.#lines.findIndex((line, i) => i > header && !line.startsWith('|'));
    return this.#lines.slice(header + 2, end).map(cellsOf);
  }
}

function cellsOf(line: string): Row {
  return line
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map(cell => cell.trim());
}
