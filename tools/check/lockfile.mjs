// `npm ci` on another machine needs an entry for every platform's binary package, and every workspace package as it is.
import { missingPlatformPackages } from '../lockfile/platform-packages.mjs';

/**
 * @param {import('./workspace.mjs').Workspace} workspace
 * @returns {import('./workspace.mjs').Findings}
 */
export function checkLockfile({ read, packages, examples }) {
  const lock = JSON.parse(read('package-lock.json'));
  const failures = missingPlatformPackages(lock).map(
    ({ parent, name }) => `package-lock.json: ${parent} lacks its optional package ${name}; run npm run lockfile`,
  );
  for (const { path, manifest } of [...packages, ...examples]) {
    for (const field of /** @type {const} */ (['dependencies', 'peerDependencies'])) {
      const locked = sorted(lock.packages[path]?.[field]);
      if (locked !== sorted(manifest[field])) {
        failures.push(`package-lock.json: ${field} of ${path} differ from its package.json; run npm install`);
      }
    }
  }
  return { failures, note: `${Object.keys(lock.packages).length} entries` };
}

/** @param {Record<string, string>} [dependencies] */
function sorted(dependencies = {}) {
  return JSON.stringify(Object.entries(dependencies).sort());
}
