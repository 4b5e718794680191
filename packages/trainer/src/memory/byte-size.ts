import { InvalidOptionError } from '@frugaljs/core';

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

const BINARY_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];

/** Bytes with three significant digits, in powers of 1024: `4.99 GiB`. */
export function formatBinaryBytes(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1023.5 && unit < BINARY_UNITS.length - 1) {
    value /= 1024;
    unit++;
  }
  return `${unit === 0 || value >= 999.5 ? Math.round(value) : value.toPrecision(3)} ${BINARY_UNITS[unit]}`;
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
