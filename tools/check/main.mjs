// npm run check: what neither the compiler, the linter nor the tests see. One line per check, then the failures.
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { checkBackendNames } from './backend-names.mjs';
import { checkFileNames } from './file-names.mjs';
import { checkLayers } from './layers.mjs';
import { checkLockfile } from './lockfile.mjs';
import { checkManifests } from './manifests.mjs';
import { checkPortability } from './portability.mjs';
import { checkVersions } from './versions.mjs';
import { isApplication, openWorkspace } from './workspace.mjs';

const usage = `node tools/check/main.mjs [CHECK ...]
Runs the named checks, or all. Exits with 1 if one fails.`;

const root = fileURLToPath(new URL('../..', import.meta.url));

/** @type {string[]} */
const failed = [];

/** @typedef {(workspace: import('./workspace.mjs').Workspace) => import('./workspace.mjs').Findings} Check */

/** @type {Record<string, Check>} */
const checks = {
  layers: checkLayers,
  'backend-names': checkBackendNames,
  'file-names': checkFileNames,
  manifests: checkManifests,
  versions: checkVersions,
  dependencies: () => npmScript('check:dependencies', 'sherif'),
  unused: () => npmScript('check:unused', 'knip: files, exports, dependencies'),
  links: () => npmScript('check:links', 'remark: relative links and headings'),
  portability: checkPortability,
  lockfile: checkLockfile,
  build: () => ({ ...node(['tools/build.mjs']), note: 'tsc -b, applications' }),
  published: () => {
    if (!isBuilt()) return { failures: ['not checked: the build failed'] };
    const options = ['--parallel=2', '--output-style=stream'];
    const { failures } = node(['node_modules/nx/dist/bin/nx.js', 'run-many', '-t', 'package-check', ...options]);
    return { failures, note: `${workspace.packages.filter(pack => !isApplication(pack)).length} packages` };
  },
  consumers: () => (isBuilt() ? node(['tools/consumers/main.mjs']) : { failures: ['not checked: the build failed'] }),
  examples: () => node(['tools/examples/main.mjs']),
};

function isBuilt() {
  return !failed.some(failure => failure.startsWith('[build]'));
}

/**
 * A check that another tool does, as package.json calls it.
 *
 * @param {string} name
 * @param {string} note
 * @returns {import('./workspace.mjs').Findings}
 */
function npmScript(name, note) {
  return { ...command('npm', ['run', '--silent', name]), note };
}

/**
 * @param {string[]} script
 * @returns {import('./workspace.mjs').Findings}
 */
function node(script) {
  return command(process.execPath, script);
}

/**
 * @param {string} program
 * @param {string[]} args
 * @returns {import('./workspace.mjs').Findings}
 */
function command(program, args) {
  const env = { ...process.env, FORCE_COLOR: '0' };
  const { status, stdout, stderr } = spawnSync(program, args, { cwd: root, env, encoding: 'utf8' });
  const output = `${stdout}${stderr}`.trim();
  if (status !== 0) return { failures: [output || `${[program, ...args].join(' ')} exited with ${status}`] };
  return { failures: [], note: output.split('\n').at(-1)?.trim() ?? '' };
}

const wanted = process.argv.slice(2);
const unknown = wanted.filter(name => !(name in checks));
if (unknown.length > 0) {
  console.error(`${usage}\nNo such check: ${unknown.join(', ')}; there are ${Object.keys(checks).join(', ')}`);
  process.exit(2);
}

const workspace = openWorkspace(root);
for (const [name, check] of Object.entries(checks)) {
  if (wanted.length > 0 && !wanted.includes(name)) continue;
  const start = performance.now();
  const { failures, warnings = [], note = '' } = check(workspace);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${failures.length > 0 ? 'FAIL' : 'ok  '}  ${name.padEnd(13)} ${seconds.padStart(5)} s  ${note}`);
  for (const warning of warnings) console.log(`      warning: ${warning}`);
  failed.push(...failures.map(failure => `[${name}] ${failure}`));
}
if (failed.length > 0) {
  console.error(`\n${failed.length} failure${failed.length > 1 ? 's' : ''}:\n${failed.join('\n')}`);
  process.exitCode = 1;
}
