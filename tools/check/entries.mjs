// The module specifiers that a package offers: its `exports`, with the patterns spelled out from its source files.
import { posix } from 'node:path';

/** The condition under which `exports` name sources. It has our scope, so that nobody else's flags switch it on. */
const SOURCE = '@frugaljs/source';

/**
 * @param {import('./workspace.mjs').Package} pack
 * @returns {{ subpath: string, source: string }[]} subpath as in `exports` ('.', './lion'); source from the root
 * @throws {Error} if an entry has no source, so that tests would need a build
 */
export function entriesOf(pack) {
  const entries = [];
  for (const [subpath, conditions] of Object.entries(pack.manifest.exports ?? {})) {
    if (subpath === './package.json') continue;
    const source = /** @type {Record<string, unknown> | null} */ (conditions)?.[SOURCE];
    if (typeof source !== 'string') {
      throw new Error(`${pack.path}/package.json: exports['${subpath}'] has no condition ${SOURCE}`);
    }
    const pattern = posix.join(pack.path, source);
    const [before = '', after] = pattern.split('*');
    if (after === undefined) {
      entries.push({ subpath, source: pattern });
      continue;
    }
    for (const file of pack.sources) {
      if (!file.startsWith(before) || !file.endsWith(after) || file.endsWith('.d.ts')) continue;
      const name = file.slice(before.length, file.length - after.length);
      entries.push({ subpath: subpath.replace('*', name), source: file });
    }
  }
  return entries;
}

/**
 * Entries that can be imported for what they export: a command's file would run the command instead.
 *
 * @param {import('./workspace.mjs').Package} pack
 */
export function importableEntriesOf(pack) {
  const commands = Object.values(pack.manifest.bin ?? {}).map(file => sourceOf(pack, file));
  return entriesOf(pack).filter(({ source }) => !commands.includes(source));
}

/**
 * @param {import('./workspace.mjs').Package} pack
 * @param {string} output such as `./dist/cli.js`
 */
function sourceOf(pack, output) {
  return posix.join(pack.path, output).replace(`${pack.path}/dist/`, `${pack.path}/src/`).replace(/\.js$/, '.ts');
}
