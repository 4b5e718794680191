import { ConfigError } from './errors.js';

type Fields = { readonly [key: string]: unknown };

/** The value of a key, or `otherwise` for a missing or null one. `parameter` is what a message calls the key. */
export function positiveInteger(fields: Fields, key: string, otherwise?: number, parameter: string = key): number {
  const found = fields[key] ?? otherwise;
  if (typeof found !== 'number' || !Number.isSafeInteger(found) || found < 1) {
    throw new ConfigError({ parameter, found, expected: 'a positive integer' });
  }
  return found;
}

/** As {@link positiveInteger}, for any positive finite number. */
export function positiveNumber(fields: Fields, key: string, otherwise?: number, parameter: string = key): number {
  const found = fields[key] ?? otherwise;
  if (typeof found !== 'number' || !Number.isFinite(found) || found <= 0) {
    throw new ConfigError({ parameter, found, expected: 'a positive finite number' });
  }
  return found;
}

/** As {@link positiveInteger}, for true or false. */
export function flag(fields: Fields, key: string, otherwise: boolean): boolean {
  const found = fields[key] ?? otherwise;
  if (typeof found !== 'boolean') throw new ConfigError({ parameter: key, found, expected: 'true or false' });
  return found;
}
