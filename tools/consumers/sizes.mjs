// What an import adds to a bundle: minified by esbuild and gzipped, without tfjs, which every program has anyway.
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** Imports of one thing: what it costs is what its module reaches, and what cannot be left out of that. */
const imports = /** @type {const} */ ([
  ['compose', '@frugaljs/composer'],
  ['compose', '@frugaljs/composer/compose'],
  ['frugal', '@frugaljs/composer'],
  ['frugal', '@frugaljs/composer/recipes'],
  ['frugal', 'frugaljs'],
  ['adamW', '@frugaljs/state-full'],
  ['adamW', '@frugaljs/state-full/adam-w'],
  ['lion', '@frugaljs/state-full/lion'],
  ['adafactor', '@frugaljs/state-full/adafactor'],
  ['muon', '@frugaljs/state-full/muon'],
  ['signSgd', '@frugaljs/state-free/sign-sgd'],
  ['rows', '@frugaljs/projectors'],
  ['rows', '@frugaljs/projectors/rows'],
  ['svd', '@frugaljs/projectors/svd'],
  ['dct', '@frugaljs/projectors/dct'],
  ['warmupCosine', '@frugaljs/core'],
  ['expressionRule', '@frugaljs/core'],
  [null, '@frugaljs/backend-wasm'],
  [null, '@frugaljs/backend-wasm/cpu'],
  [null, '@frugaljs/backend-webgpu'],
  ['Checkpoints', '@frugaljs/checkpoint'],
  ['Lora', '@frugaljs/adapters/lora'],
]);

/** By how much a size may differ from the recorded one. */
const tolerance = 0.1;

/** @typedef {Map<string, number>} Sizes gzipped bytes by import */

/**
 * @param {string} folder with the packages installed
 * @param {readonly string[]} entries what can be imported there
 * @returns {Promise<Sizes>}
 */
export async function measureImports(folder, entries) {
  /** @type {Sizes} */
  const sizes = new Map();
  for (const [name, from] of imports) {
    if (!entries.includes(from)) continue;
    const contents = name ? `export { ${name} } from '${from}';` : `import '${from}';`;
    const { outputFiles = [] } = await build({
      stdin: { contents, resolveDir: folder },
      bundle: true,
      minify: true,
      format: 'esm',
      target: 'es2022',
      external: ['@tensorflow/*', 'node:*'],
      write: false,
      logLevel: 'silent',
    });
    sizes.set(
      name ? `import { ${name} } from '${from}'` : `import '${from}'`,
      gzipSync(outputFiles[0]?.contents ?? '', { level: 9 }).length,
    );
  }
  return sizes;
}

/**
 * @param {Sizes} sizes
 * @returns {string} a page of docs/
 */
export function writePage(sizes) {
  const rows = [...sizes].map(([statement, bytes]) => [`\`${statement}\``, `${(bytes / 1000).toFixed(1)} kB`]);
  const widths = [0, 1].map(column => Math.max(...rows.map(row => (row[column] ?? '').length), 'gzipped'.length));
  /** @param {string} left @param {string} right */
  const line = (left, right) => `| ${left.padEnd(widths[0] ?? 0)} | ${right.padStart(widths[1] ?? 0)} |`;
  return `# What an import weighs

Bundled and minified by esbuild, then gzipped, without TensorFlow.js. \`npm run sizes\` measures and writes this page;
\`npm run check -- consumers\` fails where a size has moved by more than ${tolerance * 100} %.

${line('import', 'gzipped')}
| ${'-'.repeat(widths[0] ?? 0)} | ${'-'.repeat((widths[1] ?? 0) - 1)}: |
${rows.map(([left = '', right = '']) => line(left, right)).join('\n')}
`;
}

/**
 * @param {Sizes} sizes
 * @param {string} page as {@link writePage} wrote it
 * @returns {string[]} failures
 */
export function compareSizes(sizes, page) {
  const recorded = new Map(
    [...page.matchAll(/^\| `(import .*?)` +\| +([\d.]+) kB \|$/gm)].map(([, statement = '', kilobytes]) => [
      statement,
      Number(kilobytes) * 1000,
    ]),
  );
  const advice = 'run npm run sizes if that is meant';
  const gone = [...recorded.keys()]
    .filter(statement => !sizes.has(statement))
    .map(statement => `docs/sizes.md: ${statement} can no longer be imported; ${advice}`);
  const moved = [...sizes].flatMap(([statement, bytes]) => {
    const before = recorded.get(statement);
    if (before === undefined) return [`docs/sizes.md: ${statement} is missing; ${advice}`];
    // Below that the page's own rounding is seen.
    if (Math.abs(bytes - before) <= Math.max(tolerance * before, 100)) return [];
    return [`docs/sizes.md: ${statement} takes ${bytes} bytes, recorded are ${before}; ${advice}`];
  });
  return [...gone, ...moved];
}
