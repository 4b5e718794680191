import type { Candidate } from './candidate.js';

/** The options of `frugal train` for a candidate, each with a space in front. */
export function commandOf({ recipe: name, options }: Pick<Candidate, 'recipe' | 'options'>): string {
  const flags = Object.entries(options).map(([key, value]) => {
    if (typeof value === 'object') return ` --set '${key}=${JSON.stringify(value)}'`;
    return ` --${key} ${value}`;
  });
  return ` --optimizer ${name}${flags.join('')}`;
}
