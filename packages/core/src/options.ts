import { InvalidOptionError } from './errors.js';

/**
 * Checks that a number lies in an interval and returns it.
 *
 * @param parameter What the number is called in the message, for example `adamW.beta1`.
 * @param interval In the usual notation: `[0, 1)` excludes the 1. `Infinity` may stand at either end.
 * @throws InvalidOptionError naming the parameter, the value found and the interval.
 */
export function requireNumber(
  parameter: string,
  value: number,
  interval:
    | `${'[' | '('}${number}, ${number}${']' | ')'}`
    | `${'[' | '('}${number}, Infinity)`
    | '(-Infinity, Infinity)',
): number {
  const [low, high] = interval.slice(1, -1).split(', ').map(Number) as [number, number];
  const aboveLow = interval.startsWith('[') ? value >= low : value > low;
  const belowHigh = interval.endsWith(']') ? value <= high : value < high;
  if (typeof value !== 'number' || !aboveLow || !belowHigh) {
    throw new InvalidOptionError({ parameter, found: value, expected: `a number in ${interval}` });
  }
  return value;
}

/** Checks that a number is an integer of at least `minimum` and returns it. */
export function requireInteger(parameter: string, value: number, minimum: number): number {
  if (!Number.isSafeInteger(value) || value < minimum) {
    throw new InvalidOptionError({ parameter, found: value, expected: `an integer of at least ${minimum}` });
  }
  return value;
}

/** Checks that a value is `true` or `false` and returns it. */
export function requireBoolean(parameter: string, value: boolean): boolean {
  if (typeof value !== 'boolean') {
    throw new InvalidOptionError({ parameter, found: value, expected: 'true or false' });
  }
  return value;
}

/** Checks that a value is one of a list and returns it. */
export function requireOneOf<const T extends string>(parameter: string, value: T, choices: readonly T[]): T {
  if (!choices.includes(value)) {
    throw new InvalidOptionError({ parameter, found: value, expected: `one of ${choices.join(', ')}` });
  }
  return value;
}

/**
 * Checks that an options object has no key outside `known`, so that a misspelled option is an error and not silence.
 */
export function requireKnownKeys(owner: string, options: object, known: readonly string[]): void {
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) {
      throw new InvalidOptionError({
        parameter: `${owner}.${key}`,
        found: key,
        expected: known.length === 0 ? 'no options' : `one of the options ${known.join(', ')}`,
      });
    }
  }
}
