// Gives every package its nx targets, so that a new package needs no configuration of its own. What all projects share
// (cache, outputs, inputs, order) stands in nx.json under targetDefaults; here is what depends on the package: which others
// its tests read. They may use packages above their own, which package.json must not name, so nx could not know of them.
import { isApplication, openWorkspace } from './check/workspace.mjs';

export const name = 'frugal-packages';

/** @typedef {import('./check/workspace.mjs').Package} Package */

/** @type {import('nx/src/devkit-exports').CreateNodesV2} */
export const createNodesV2 = [
  'packages/*/package.json',
  (manifests, _, { workspaceRoot }) => {
    const workspace = openWorkspace(workspaceRoot);
    const packages = new Map(workspace.packages.map(pack => [`${pack.path}/package.json`, pack]));
    const byName = new Map(workspace.packages.map(pack => [pack.manifest.name ?? '', pack]));
    return manifests.flatMap(file => {
      const pack = packages.get(file);
      if (!pack) return [];
      const used = [...dependenciesOf(pack, byName), ...usedByTests(pack, workspace)];
      const others = reached(used, byName).filter(other => other !== pack.manifest.name);
      const project = { targets: targetsOf(pack, others) };
      return [/** @type {const} */ ([file, { projects: { [pack.path]: project } }])];
    });
  },
];

/**
 * @param {Package} pack
 * @param {readonly string[]} tested packages whose sources run in its tests
 */
function targetsOf(pack, tested) {
  const sources = tested.length > 0 ? [{ input: 'production', projects: [...tested] }] : [];
  return {
    lint: { command: 'biome check --error-on-warnings {projectRoot}' },
    typecheck: {
      command: 'tsc -b {projectRoot} && tsc -p {projectRoot}/tsconfig.tests.json',
      inputs: ['default', 'typescript', ...sources],
    },
    test: { command: 'vitest run {projectRoot}', inputs: ['default', 'tests', ...sources] },
    ...(isApplication(pack)
      ? {}
      : {
          build: { command: 'tsc -b {projectRoot}' },
          'package-check': { command: 'node tools/check/published.mjs {projectRoot}' },
        }),
  };
}

/**
 * @param {Package} pack
 * @param {ReadonlyMap<string, Package>} byName
 */
function dependenciesOf({ manifest }, byName) {
  return Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies }).filter(name => byName.has(name));
}

/**
 * These packages and all that they reach.
 *
 * @param {readonly string[]} names
 * @param {ReadonlyMap<string, Package>} byName
 * @param {Set<string>} [found]
 * @returns {string[]} sorted
 */
function reached(names, byName, found = new Set()) {
  for (const name of names) {
    const pack = byName.get(name);
    if (!pack || found.has(name)) continue;
    found.add(name);
    reached(dependenciesOf(pack, byName), byName, found);
  }
  return [...found].sort();
}

/**
 * @param {Package} pack
 * @param {import('./check/workspace.mjs').Workspace} workspace
 */
function usedByTests({ path }, { files, read }) {
  const tests = files.filter(file => file.startsWith(`${path}/test/`) || file.startsWith(`${path}/bench/`));
  const named = tests
    .filter(file => /\.[cm]?[jt]s$/.test(file))
    .flatMap(file => [...read(file).matchAll(/['"](@frugaljs\/[a-z0-9-]+|frugaljs)(?:\/[^'"]*)?['"]/g)])
    .map(([, name = '']) => name);
  return [...new Set(named)];
}
