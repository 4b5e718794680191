// npm run build: tsc -b over all packages. tsc never deletes the output of a source file that was renamed or removed,
// and npm would publish it; so outputs without a source go first.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * @param {string} root folder that holds packages/
 * @returns {string[]} files removed
 */
export function removeStaleOutputs(root) {
  const packages = readdirSync(join(root, 'packages')).map(name => join(root, 'packages', name));
  return packages.flatMap(path => {
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
  return spawnSync(process.execPath, [join(root, 'node_modules/typescript/bin/tsc'), '-b', ...process.argv.slice(2)], {
    cwd: root,
    stdio: 'inherit',
  }).status;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) process.exitCode = build() ?? 1;
