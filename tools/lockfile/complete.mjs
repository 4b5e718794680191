// npm run lockfile: after a change of dependencies, writes the platform packages that npm left out of package-lock.json.
import { readFileSync, writeFileSync } from 'node:fs';
import { completeLock } from './platform-packages.mjs';

const file = new URL('../../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(file, 'utf8'));
const added = completeLock(lock);
if (added.length > 0) writeFileSync(file, `${JSON.stringify(lock, null, 2)}\n`);
console.log(added.length > 0 ? `package-lock.json: added ${added.join(', ')}` : 'package-lock.json is complete');
