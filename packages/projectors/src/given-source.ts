import { InvalidOptionError, type Json, NotSerializableError, UnknownNameError } from '@frugaljs/core';

/**
 * What is given, by parameter and refresh: a table with one entry per refresh (the last one serves all later refreshes), or a
 * function. A table travels in JSON; a function does not.
 */
export type Given<T> =
  | { readonly [parameter: string]: readonly T[] }
  | ((parameter: string, refreshIndex: number) => T);

/** Stands in the JSON options for what JSON cannot hold. */
const FUNCTION = 'function';

/** Reads what was given. */
export class GivenSource<T> {
  constructor(
    private readonly option: string,
    private readonly given: Given<T>,
  ) {
    if ((given as unknown) === FUNCTION) {
      throw new NotSerializableError({
        parameter: option,
        found: 'the trace of a function in saved options',
        expected: 'a table, parameter → one entry per refresh',
        advice: 'Functions cannot be saved: give a table, or build the composition in code.',
      });
    }
    if (typeof given === 'function') return;
    if (typeof given !== 'object' || given === null || !Object.values(given).every(isNonEmptyList)) {
      throw new InvalidOptionError({
        parameter: option,
        found: given,
        expected:
          'a table { parameter: [one entry per refresh, at least one] }, or a function (parameter, refresh) => entry',
      });
    }
  }

  at(parameter: string, refreshIndex: number): T {
    if (typeof this.given === 'function') return this.given(parameter, refreshIndex);
    const entries = this.entriesOf(parameter);
    return entries[Math.min(refreshIndex, entries.length - 1)]!;
  }

  /** Number of different refreshes that can be checked in advance: the length of the table, or 1. */
  refreshes(parameter: string): number {
    return typeof this.given === 'function' ? 1 : this.entriesOf(parameter).length;
  }

  toJson(): Json {
    return typeof this.given === 'function' ? FUNCTION : (this.given as unknown as Json);
  }

  private entriesOf(parameter: string): readonly T[] {
    const table = this.given as { readonly [parameter: string]: readonly T[] };
    if (Object.hasOwn(table, parameter)) return table[parameter]!;
    throw new UnknownNameError({
      parameter: this.option,
      found: parameter,
      expected: `one of the parameters in the table: ${Object.keys(table).join(', ')}`,
      advice: 'Add the parameter to the table, or match it with another group.',
    });
  }
}

function isNonEmptyList(entry: unknown): boolean {
  return Array.isArray(entry) && entry.length > 0;
}
