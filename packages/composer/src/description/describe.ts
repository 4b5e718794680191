import type { Described } from '@frugaljs/core';

/** The JSON of a part: its kind and options, without its functions. */
export function describe(part: Described): { readonly kind: string; readonly options: Described['options'] } {
  return { kind: part.kind, options: part.options };
}
