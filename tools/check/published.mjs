// node tools/check/published.mjs packages/NAME: is what npm would publish of this package right? Run by nx for every
// package, after a build, and cached until an input changes (tools/nx-plugin.mjs).
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { entriesOf, importableEntriesOf } from './entries.mjs';
import { openWorkspace } from './workspace.mjs';

const run = promisify(execFile);
const attw = fileURLToPath(new URL('../../node_modules/.bin/attw', import.meta.url));

/**
 * @param {string} root absolute folder of the workspace
 * @param {string} path such as `packages/core`
 * @returns {Promise<string[]>} failures
 */
export async function checkPublished(root, path) {
  const pack = openWorkspace(root).packages.find(candidate => candidate.path === path);
  if (!pack) throw new Error(`${path}: no such package; expected packages/NAME`);
  const missing = entriesOf(pack)
    .map(({ source }) => source.replace(`${path}/src/`, `${path}/dist/`).replace(/\.ts$/, '.js'))
    .filter(file => !existsSync(join(root, file)));
  if (missing.length > 0) return missing.map(file => `${file}: not built; run npm run build`);

  const scratch = mkdtempSync(join(tmpdir(), 'frugal-pack-'));
  try {
    const options = ['--ignore-scripts', '--json', '--pack-destination', scratch];
    const { stdout } = await run('npm', ['pack', ...options], { cwd: join(root, path) });
    /** @type {{ path: string }[]} */
    const held = JSON.parse(stdout)[0].files;
    const tarball = join(scratch, readdirSync(scratch)[0] ?? '');
    const findings = await Promise.all([lintTarball(pack, tarball), checkTypes(pack, tarball), importAll(root, pack)]);
    return [...superfluous(held.map(file => file.path)), ...findings.flat()];
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

// What only this workspace needs. `files` of package.json takes whole folders, and what a compiler leaves in them.
/** @param {readonly string[]} held */
function superfluous(held) {
  return held
    .filter(file => /\.tsbuildinfo$|\.test\.[cm]?[jt]s$|(^|\/)tsconfig[^/]*\.json$/.test(file))
    .map(file => `the tarball holds ${file}, which nobody needs who installs it; see files in package.json`);
}

/**
 * @param {import('./workspace.mjs').Package} pack
 * @param {string} tarball
 */
async function lintTarball(pack, tarball) {
  const { buffer, byteOffset, byteLength } = readFileSync(tarball);
  const bytes = buffer.slice(byteOffset, byteOffset + byteLength);
  const { messages } = await publint({ pack: { tarball: bytes }, strict: true });
  return messages.map(message => `publint: ${formatMessage(message, pack.manifest, { color: false })}`);
}

/**
 * @param {import('./workspace.mjs').Package} pack
 * @param {string} tarball
 */
async function checkTypes(pack, tarball) {
  const entries = entriesOf(pack).map(({ subpath }) => subpath);
  const options = ['--profile', 'esm-only', '--format', 'json', '--no-definitely-typed', '--entrypoints', ...entries];
  const failed = await run(attw, [tarball, ...options], { maxBuffer: 2 ** 26 }).then(
    () => null,
    error => error,
  );
  if (!failed) return [];
  if (!failed.stdout.startsWith('{')) return [`attw: ${failed.stdout}${failed.stderr}`.trim()];
  // The report also lists what the profile ignores: CommonJS and resolution before `exports`.
  /** @type {{ kind: string, resolutionKind?: string, entrypoint?: string, fileName?: string, moduleSpecifier?: string }[]} */
  const problems = JSON.parse(failed.stdout).analysis.problems;
  const lines = problems
    .filter(({ resolutionKind = '' }) => !['node10', 'node16-cjs'].includes(resolutionKind))
    .map(
      ({ kind, entrypoint, fileName, moduleSpecifier }) =>
        `attw: ${kind} ${entrypoint ?? fileName}${moduleSpecifier ? ` imports '${moduleSpecifier}'` : ''}`,
    );
  return [...new Set(lines)];
}

// By package name, from the built files, in a Node that knows nothing of TypeScript or of the condition `@frugaljs/source`.
const importer = `
const [entries, optional] = JSON.parse(process.argv[1]);
for (const entry of entries) {
  try {
    await import(entry);
  } catch (error) {
    const absent = error.code === 'ERR_MODULE_NOT_FOUND' && optional.some(name => error.message.includes("'" + name + "'"));
    if (!absent) { console.log(entry + ': ' + error); process.exitCode = 1; }
  }
}`;

/**
 * @param {string} root
 * @param {import('./workspace.mjs').Package} pack
 */
async function importAll(root, pack) {
  const entries = importableEntriesOf(pack).map(({ subpath }) => `${pack.manifest.name}${subpath.slice(1)}`);
  const optional = Object.entries(pack.manifest.peerDependenciesMeta ?? {})
    .filter(([, meta]) => meta.optional)
    .map(([name]) => name);
  const { NODE_OPTIONS: _, ...env } = process.env;
  const script = ['--input-type=module', '--eval', importer, JSON.stringify([entries, optional])];
  return run(process.execPath, script, { cwd: join(root, pack.path), env }).then(
    () => [],
    ({ stdout, stderr }) => [`import: ${stdout}${stderr}`.trim()],
  );
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const path = (process.argv[2] ?? '').replace(/\/$/, '');
  const failures = await checkPublished(fileURLToPath(new URL('../..', import.meta.url)), path);
  for (const failure of failures) console.error(`${path}: ${failure}`);
  process.exitCode = failures.length > 0 ? 1 : 0;
}
