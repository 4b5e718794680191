// node tools/consumers/main.mjs [--write-sizes]: packs all packages, installs the tarballs in an empty folder, and uses them
// there as programs do. npm run check -- consumers after a build; npm run sizes rewrites docs/sizes.md.
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { importableEntriesOf } from '../check/entries.mjs';
import { isApplication, openWorkspace } from '../check/workspace.mjs';
import { installPackages } from './install.mjs';
import { programs } from './programs.mjs';
import { compareSizes, measureImports, writePage } from './sizes.mjs';

const workspace = openWorkspace(fileURLToPath(new URL('../..', import.meta.url)));
const page = join(workspace.root, 'docs/sizes.md');
const entries = workspace.packages
  .filter(pack => !isApplication(pack))
  .flatMap(pack => importableEntriesOf(pack).map(({ subpath }) => `${pack.manifest.name}${subpath.slice(1)}`));

const { folder, remove } = await installPackages(workspace);
/** @type {string[]} */
const failures = [];
let done = 0;
try {
  const sizes = await measureImports(folder, entries);
  if (process.argv.includes('--write-sizes')) {
    writeFileSync(page, writePage(sizes));
    console.log(`docs/sizes.md: ${sizes.size} imports`);
  } else {
    failures.push(...compareSizes(sizes, readFileSync(page, 'utf8')));
    for (const [name, use] of Object.entries(programs)) {
      try {
        await use(folder, entries);
        done++;
      } catch (error) {
        failures.push(`${name}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    console.log(
      `${entries.length} entries, ${done} of ${Object.keys(programs).length} ways to use them, ${sizes.size} sizes`,
    );
  }
} finally {
  remove();
}
for (const failure of failures) console.error(failure);
process.exitCode = failures.length > 0 ? 1 : 0;
