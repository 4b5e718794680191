/** Folder of this package: its own lines say nothing about the part under test. */
const HERE = new URL('.', import.meta.url);
/** Lines of other packages, also where source maps show them as the files they were built from. */
const OTHERS = /node_modules|^node:|\/tfjs-[\w-]+\/src\//;

/**
 * Where an error comes from: the innermost line of its stack outside this package and others, as ` (FILE:LINE:COLUMN)`.
 * Empty where there is none or the machine writes its stacks in another way.
 */
export function placeOf(error: unknown): string {
  const lines = error instanceof Error ? (error.stack ?? '').split('\n') : [];
  for (const line of lines) {
    const place = /^\s+at (?:.*\()?(.+:\d+:\d+)\)?$/.exec(line)?.[1];
    if (place === undefined || OTHERS.test(place)) continue;
    if (!place.startsWith(HERE.href) && !place.startsWith(HERE.pathname)) return ` (${place})`;
  }
  return '';
}
