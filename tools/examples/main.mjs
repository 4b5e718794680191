// npm run examples [-- PAGE.md ...]: compiles and runs the code blocks of the README files and of docs/.
import { readFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openWorkspace } from '../check/workspace.mjs';
import { extractExamples } from './extract.mjs';
import { runExamples } from './run.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));

const named = process.argv.slice(2).map(page => relative(root, join(process.cwd(), page)));
const pages =
  named.length > 0
    ? named
    : openWorkspace(root).files.filter(file => /^(README\.md|packages\/[^/]+\/README\.md|docs\/.*\.md)$/.test(file));

/** @type {import('./extract.mjs').Example[]} */
const examples = [];
/** @type {string[]} */
const failures = [];
for (const page of pages) {
  try {
    examples.push(...extractExamples(readFileSync(join(root, page), 'utf8'), page));
  } catch (error) {
    failures.push(error instanceof Error ? error.message : String(error));
  }
}
failures.push(...(await runExamples(root, examples)));
for (const failure of failures) console.error(`${failure}\n`);
const checkedOnly = examples.filter(({ noRun }) => noRun !== null);
for (const { page, line, noRun } of checkedOnly) console.log(`${page}:${line}: not run, ${noRun}`);
console.log(
  `${examples.length} examples in ${pages.length} pages, ${checkedOnly.length} not run, ${failures.length} failed`,
);
process.exitCode = failures.length > 0 ? 1 : 0;
