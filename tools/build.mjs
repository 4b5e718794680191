// npm run build: tsc -b over all packages, then the applications, each by its own script. tsc never deletes the output of
// a source file that was renamed or removed, and npm would publish it; so outputs without a source go first.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isApplication, openWorkspace } from './check/workspace.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * @param {string} root folder that holds packages/
 * @returns {string[]} files removed
 */
export function removeStaleOutputs(root) {
  // What lies in the dist/ of an application comes from its own bundler.
  const packages = openWorkspace(root).packages.filter(pack => !isApplication(pack));
  return packages.flatMap(pack => {
    const path = join(root, pack.path);
    if (!existsSync(join(path, 'dist'))) return [];
    const outputs = readdirSync(join(path, 'dist'), { recursive: true, encoding: 'utf8' });
    const stale = outputs
      .filter(file => /\.(js|d\.ts)(\.map)?$/.test(file))
      .filter(file => !existsSync(join(path, 'src', file.replace(/\.(js|d\.ts)(\.map)?$/, '.ts'))))
      .map(file => join(path, 'dist', file));
    for (const file of stale) rmSync(file);
    return stale;
  });
}

export function build() {
  for (const file of removeStaleOutputs(root)) console.log(`removed ${file}: its source is gone`);
  const compiler = [join(root, 'node_modules/typescript/bin/tsc'), '-b', ...process.argv.slice(2)];
  const { status } = spawnSync(process.execPath, compiler, { cwd: root, stdio: 'inherit' });
  return status === 0 ? buildApplications() : status;
}

/** @returns {number | null} status of the first that fails, else 0 */
function buildApplications() {
  for (const { path } of openWorkspace(root).packages.filter(isApplication)) {
    const { status } = spawnSync('npm', ['run', '--silent', 'build'], { cwd: join(root, path), stdio: 'inherit' });
    if (status !== 0) return status;
  }
  return 0;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = build() ?? 1;
