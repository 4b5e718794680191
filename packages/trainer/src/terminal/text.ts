import { InvalidOptionError } from '@frugaljs/core';

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

/** Characters of a line of prose: about as wide as the tables. */
const LINE = 104;

/** Breaks text between words so that no line is longer than `width` characters, unless a word is. */
export function wrap(text: string, width: number = LINE): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && [...last].length + 1 + [...word].length <= width)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join('\n');
}

/** A word as it is typed into a POSIX shell: in quotes if it has anything that the shell would read otherwise. */
export function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}

const UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];
const BINARY_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Bytes with three significant digits, in powers of 1000: `1.57 MB`. */
export function formatBytes(bytes: number): string {
  const [value, power] = scaled(bytes, 1000);
  return `${power === 0 ? value : value.toPrecision(3)} ${UNITS[power]}`;
}

/** Bytes with three significant digits, in powers of 1024: `4.99 GiB`. */
export function formatBinaryBytes(bytes: number): string {
  const [value, power] = scaled(bytes, 1024);
  return `${power === 0 || value >= 999.5 ? Math.round(value) : value.toPrecision(3)} ${BINARY_UNITS[power]}`;
}

/** A number of bytes in the unit that leaves it below `base`, as it is rounded, or in the largest one. */
function scaled(bytes: number, base: number): [value: number, power: number] {
  let value = bytes;
  let power = 0;
  while (value >= base - 0.5 && power < UNITS.length - 1) {
    value /= base;
    power++;
  }
  return [value, power];
}

/** Seconds as `41 s`, `1 min 52 s` or `2 h 05 min`. */
export function formatDuration(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  if (whole < 60) return `${whole} s`;
  const pad = (value: number): string => String(value).padStart(2, '0');
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${pad(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${pad(Math.floor((whole % 3600) / 60))} min`;
}

/** A count with commas between thousands. */
export function formatCount(count: number): string {
  return Math.round(count).toLocaleString('en-US');
}

/** Milliseconds with three significant digits, or a dash where there are none. */
export function formatMilliseconds(milliseconds: number | null): string {
  if (milliseconds === null) return '–';
  return milliseconds >= 100 ? milliseconds.toFixed(0) : milliseconds.toPrecision(3);
}

const POWERS = ['', 'k', 'm', 'g', 't'];

/**
 * Reads a number of bytes: `8GiB` (2³⁰ bytes each), `500MB` (10⁶ bytes each), or plain bytes. Upper and lower case are
 * the same, and a space before the unit is allowed. `8G` is refused: it means one thing to some and another to others.
 *
 * @throws InvalidOptionError naming the parameter.
 */
export function parseBytes(parameter: string, size: string | number): number {
  const [, digits, power, binary] = /^\s*(\d+(?:\.\d+)?|\.\d+)\s*(?:([kmgt]?)(i?)b)?\s*$/i.exec(String(size)) ?? [];
  const exponent = POWERS.indexOf((power ?? '').toLowerCase());
  const bytes = Math.floor(Number(digits) * (binary ? 1024 : 1000) ** exponent);
  if (digits === undefined || (binary && exponent === 0) || !Number.isSafeInteger(bytes) || bytes < 1) {
    throw new InvalidOptionError({
      parameter,
      found: size,
      expected: 'a size such as 8GiB (2^30 bytes each), 500MB (10^6 bytes each) or a number of bytes',
    });
  }
  return bytes;
}

/** The unit of a table whose largest number is this: MiB, or KiB for a small model. */
export function tableUnit(largest: number): 'KiB' | 'MiB' {
  return largest < 100 * 2 ** 20 ? 'KiB' : 'MiB';
}

/** Bytes as KiB or MiB with one decimal and commas between thousands: `10,216.4`. */
export function formatBytesIn(unit: 'KiB' | 'MiB', bytes: number): string {
  const value = bytes / (unit === 'KiB' ? 2 ** 10 : 2 ** 20);
  return value.toLocaleString('en-US', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
}

/**
 * Text as it is safe to show: control characters other than newline and tab become visible ones, `␛` for escape, `\x9b` for
 * those beyond ASCII. A terminal would obey them, and texts, names of files and samples of a model may hold any.
 */
export function visible(text: string): string {
  return text.replace(CONTROL, character => {
    const code = character.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? '␡' : `\\x${code.toString(16)}`;
  });
}

const CONTROL = /(?![\n\t])\p{Cc}/gu;
