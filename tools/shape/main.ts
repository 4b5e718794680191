// npm run shape [-- --check] [-- --list] [-- --json]: how the sources are cut, held against limits.
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { openWorkspace } from '../check/workspace.mjs';
import { limits, violations } from './limits.mjs';
import { measureSizes } from './sizes.mjs';
import { measureSteadyUpdate } from './steady-update.js';

const usage = `npm run shape -- [--check] [--list] [--json]
Prints number and length of the source files by package, and what one steady update runs through.
--check  exits with 1 if a limit of tools/shape/limits.mjs is exceeded
--list   names the functions of the steady update, not only their number
--json   prints the numbers as JSON`;

const root = fileURLToPath(new URL('../..', import.meta.url));
const { values } = parseArgs({
  options: {
    check: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    help: { type: 'boolean', short: 'h', default: false },
  },
});

if (values.help) {
  console.log(usage);
  process.exit();
}

const { packages, total, lines } = measureSizes(openWorkspace(root));
const route = await measureSteadyUpdate();
const functions = [...route.values()].reduce((sum, names) => sum + names.length, 0);
const shape = { files: total.files, median: total.median, max: total.max, route: { files: route.size, functions } };
const exceeded = violations(shape, lines);

if (values.json) {
  console.log(JSON.stringify({ ...shape, packages }, null, 2));
} else {
  console.log(`${'package'.padEnd(18)}${['files', 'median', 'max'].map(title => title.padStart(8)).join('')}  longest`);
  for (const { name, files, median, max, longest } of [...packages, total]) {
    const cells = [files, median, max].map(value => String(value).padStart(8)).join('');
    console.log(`${name.padEnd(18)}${cells}  ${longest}`);
  }
  console.log('\nOne steady update runs through');
  for (const [file, names] of [...route].sort(([a], [b]) => a.localeCompare(b, 'en'))) {
    console.log(`${String(names.length).padStart(4)}  ${file}${values.list ? `: ${names.join(', ')}` : ''}`);
  }
  console.log(`${route.size} files, ${functions} functions in a steady update`);
  console.log(`\nLimits: ${Object.values(limits).join('; ')}`);
}
for (const violation of exceeded) console.error(values.check ? violation : `over the limit: ${violation}`);
// tfjs may hold the process open.
process.exit(values.check && exceeded.length > 0 ? 1 : 0);
