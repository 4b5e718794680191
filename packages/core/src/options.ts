import { InvalidOptionError } from './errors.js';
import { nearestName } from './nearest-name.js';

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
    throw new InvalidOptionError({ parameter, found: numberFound(value), expected: `a number in ${interval}` });
  }
  return value;
}

/** Checks that a number is an integer of at least `minimum` and returns it. */
export function requireInteger(parameter: string, value: number, minimum: number): number {
  if (!Number.isSafeInteger(value) || value < minimum) {
    throw new InvalidOptionError({
      parameter,
      found: numberFound(value),
      expected: `an integer of at least ${minimum}`,
    });
  }
  return value;
}

/** Without quotes the string "0.5" would read as if it were right. */
function numberFound(value: unknown): unknown {
  return typeof value === 'string' ? `the string ${JSON.stringify(value)}` : value;
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
    throw new InvalidOptionError({
      parameter,
      found: value,
      expected: `one of ${choices.join(', ')}`,
      ...didYouMean(value, choices),
    });
  }
  return value;
}

/**
 * Checks that options are an object without a key outside `known`, so that a misspelled option, or `adamW(1e-3)`, is an
 * error and not silence.
 */
export function requireKnownKeys(owner: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw new InvalidOptionError({
      parameter: owner,
      found: options,
      expected: known.length === 0 ? 'no options' : `an object with the options ${known.join(', ')}`,
    });
  }
  for (const key of Object.keys(options)) {
    if (!known.includes(key)) {
      throw new InvalidOptionError({
        parameter: `${owner}.${key}`,
        found: key,
        expected: known.length === 0 ? 'no options' : `one of the options ${known.join(', ')}`,
        ...(didYouMean(key, known) ?? belongsElsewhere(key)),
      });
    }
  }
}

/** The advice to take the nearest known name; nothing where none is near. */
export function didYouMean(name: unknown, known: readonly string[]): { readonly advice: string } | null {
  const nearest = typeof name === 'string' ? nearestName(name, known) : null;
  return nearest === null ? null : { advice: `Did you mean ${nearest}?` };
}

/** Rules know neither the learning rate nor the weight decay, as the optimizers of other libraries do. */
function belongsElsewhere(key: string): { readonly advice: string } | null {
  const meant = nearestName(key, ['learningRate', 'weightDecay']);
  if (meant === 'learningRate') return { advice: 'compose and the recipes take the learningRate.' };
  return meant === null ? null : { advice: 'The groups of compose, and the recipes, take the weightDecay.' };
}
