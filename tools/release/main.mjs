// npm run release:version: changesets become a section of CHANGELOG.md and the next version of all packages.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { addVersion, readChange } from './changelog.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
/** @param {string[]} args */
const npm = (...args) => execFileSync('npm', args, { cwd: root, stdio: 'inherit' });

const files = readdirSync(join(root, '.changeset')).filter(file => file.endsWith('.md') && file !== 'README.md');
if (files.length === 0) {
  console.log('No changesets: nothing to release.');
  process.exit();
}
const changes = files.map(file => readChange(readFileSync(join(root, '.changeset', file), 'utf8'), file));
npm('exec', '--', 'changeset', 'version');
const { version } = JSON.parse(readFileSync(join(root, 'packages/core/package.json'), 'utf8'));
const changelog = join(root, 'CHANGELOG.md');
writeFileSync(changelog, addVersion(readFileSync(changelog, 'utf8'), version, changes));
npm('install', '--package-lock-only', '--ignore-scripts');
npm('run', '--silent', 'lockfile');
npm('run', '--silent', 'format');
console.log(`${changes.length} changes in ${version}`);
