import { InvalidArgumentError } from 'commander';

type Parser = (text: string) => number;

/** Any text but none: an empty path is most often a variable of the shell that is not set. */
export function text(value: string): string {
  if (value.trim() === '') throw new InvalidArgumentError('Expected some text.');
  return value;
}

/** A whole number of at least `minimum`, also as `1e6`. */
export function integer(minimum: number): Parser {
  return text => {
    const value = /^[+-]?\d+(e\+?\d+)?$/i.test(text.trim()) ? Number(text) : Number.NaN;
    if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
      throw new InvalidArgumentError(`Expected an integer of at most ${Number.MAX_SAFE_INTEGER} either way.`);
    }
    if (!Number.isSafeInteger(value) || value < minimum) {
      throw new InvalidArgumentError(
        Number.isFinite(minimum) ? `Expected an integer of at least ${minimum}.` : 'Expected an integer.',
      );
    }
    return value;
  };
}

/** A number from `low` to `high`, the low end excluded if `open`. */
export function number(low: number, high: number = Number.POSITIVE_INFINITY, open = false): Parser {
  return text => {
    const value = text.trim() === '' ? Number.NaN : Number(text);
    if (!Number.isFinite(value) || value > high || (open ? value <= low : value < low)) {
      const range = Number.isFinite(high) ? `from ${low} to ${high}` : open ? `above ${low}` : `of at least ${low}`;
      throw new InvalidArgumentError(`Expected a number ${range}.`);
    }
    return value;
  };
}
