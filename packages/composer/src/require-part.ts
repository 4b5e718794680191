import { InvalidOptionError } from '@frugaljs/core';

/** Checks that an option is a part, which has `member`, and not a factory, a name or something else. */
export function requirePart(parameter: string, part: unknown, member: string, expected: string): void {
  if (typeof part === 'object' && part !== null && member in part) return;
  throw new InvalidOptionError({
    parameter,
    found: part,
    expected,
    ...(typeof part === 'function' ? { advice: callAdvice(part) } : {}),
  });
}

/** What to do about a factory in the place of what it makes. */
export function callAdvice({ name }: { readonly name: string }): string {
  return name === '' ? 'Call the factory.' : `Call the factory: write ${name}() and not ${name}.`;
}
