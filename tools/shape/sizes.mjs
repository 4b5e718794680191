// How long the source files are: what a reader of one package has to open.

/**
 * @typedef {object} Size
 * @property {string} name folder of a package, or `total`
 * @property {number} files
 * @property {number} median lines of a file
 * @property {number} max lines of the longest file
 * @property {string} longest that file, from the root
 */

/**
 * @param {import('../check/workspace.mjs').Workspace} workspace
 * @returns {{ packages: Size[], total: Size, lines: Map<string, number> }} applications count like any other package
 */
export function measureSizes({ packages, read }) {
  const lines = new Map(
    packages.flatMap(({ sources }) =>
      sources.map(file => /** @type {const} */ ([file, read(file).split('\n').length - 1])),
    ),
  );
  /**
   * @param {string} name
   * @param {readonly string[]} files
   * @returns {Size}
   */
  const sizeOf = (name, files) => {
    const longest = [...files].sort((a, b) => count(b) - count(a))[0] ?? '';
    return { name, files: files.length, median: median(files.map(count)), max: count(longest), longest };
  };
  /** @param {string} file */
  const count = file => lines.get(file) ?? 0;
  return {
    packages: packages.map(({ short, sources }) => sizeOf(short, sources)),
    total: sizeOf('total', [...lines.keys()]),
    lines,
  };
}

/** @param {readonly number[]} values */
export function median(values) {
  const sorted = [...values].sort((a, b) => a - b);
  // Of an even number, the mean of the two in the middle, which are the same for an odd one.
  const [low = 0, high = 0] = [(sorted.length - 1) >> 1, sorted.length >> 1].map(at => sorted[at]);
  return (low + high) / 2;
}
