// The packages are released together: a rule of one version registers itself in the core of the same version, and two
// versions of the core in one program would be two registries that know nothing of each other.

const groups = /** @type {const} */ (['dependencies', 'peerDependencies', 'devDependencies', 'optionalDependencies']);

/**
 * @param {import('./workspace.mjs').Workspace} workspace
 * @returns {import('./workspace.mjs').Findings}
 */
export function checkVersions({ packages, scope }) {
  const version = packages[0]?.manifest.version;
  const failures = packages.flatMap(({ path, manifest }) => {
    const file = `${path}/package.json`;
    const wrong =
      manifest.version === version
        ? []
        : [`${file}: version is ${manifest.version}, ${packages[0]?.path} has ${version}`];
    for (const group of groups) {
      for (const [name, range] of Object.entries(manifest[group] ?? {})) {
        if (!name.startsWith(scope) || range === version) continue;
        wrong.push(`${file}: ${group} want ${name} ${range}, expected exactly ${version}, the version of all packages`);
      }
    }
    return wrong;
  });
  return { failures, note: `${version} in ${packages.length} packages` };
}
