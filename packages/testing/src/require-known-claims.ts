import { didYouMean } from '@frugaljs/core';

/** Options of every suite. */
const COMMON = ['seed', 'numRuns', 'bail', 'leaveOut', 'name', 'backends', 'timeout'];

/** A misspelled claim would not be tested, and look as if it were. */
export function requireKnownClaims(suite: string, given: object, claims: readonly string[]): void {
  const known = [...claims, ...COMMON];
  for (const key of Object.keys(given)) {
    if (known.includes(key)) continue;
    const advice = didYouMean(key, known)?.advice;
    throw new TypeError(
      `${suite}.${key}: expected one of ${known.join(', ')}.${advice === undefined ? '' : ` ${advice}`}`,
    );
  }
}
