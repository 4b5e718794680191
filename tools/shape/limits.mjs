// How the sources may be cut. Many short files hide an idea as well as a few endless ones: a reader sees neither its
// beginning nor its end. And a way of an update through many files is one that nobody can follow.

const most = { files: 320, lines: 600, routeFiles: 18, routeFunctions: 60 };
const least = { median: 100 };

/** In words, for the report. */
export const limits = {
  files: `at most ${most.files} source files`,
  median: `a median of at least ${least.median} lines`,
  lines: `no file above ${most.lines} lines`,
  route: `a steady update through at most ${most.routeFiles} files and ${most.routeFunctions} functions`,
};

/**
 * @typedef {object} Shape
 * @property {number} files under packages/, in src/
 * @property {number} median lines
 * @property {{ files: number, functions: number }} route of a steady update
 */

/**
 * @param {Shape} shape
 * @param {ReadonlyMap<string, number>} lines of each source file
 * @returns {string[]} each says what is over which limit
 */
export function violations({ files, median, route }, lines) {
  const found = [];
  if (files > most.files) found.push(`${files} source files; ${limits.files}: merge those with one importer into it`);
  if (median < least.median) found.push(`the median source file has ${median} lines; ${limits.median}`);
  for (const [file, length] of lines) if (length > most.lines) found.push(`${file}: ${length} lines; ${limits.lines}`);
  if (route.files > most.routeFiles || route.functions > most.routeFunctions) {
    found.push(`a steady update runs through ${route.files} files and ${route.functions} functions; ${limits.route}`);
  }
  return found;
}
