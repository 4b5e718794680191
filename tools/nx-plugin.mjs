// Gives every package its nx targets, so that a new package needs no configuration of its own. What all projects share
// (cache, outputs, inputs, order) stands in nx.json under targetDefaults; here is what depends on the package: what
// its tests read of others. They may use packages above their own, which package.json must not name, and files that tests
// share, so nx could not know of them.
import { posix } from 'node:path';
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
      const { names, shared } = readByTests(pack, workspace);
      const used = [...dependenciesOf(pack, byName), ...names];
      const others = reached(used, byName).filter(other => other !== pack.manifest.name);
      const project = { targets: targetsOf(pack, others, shared) };
      return [/** @type {const} */ ([file, { projects: { [pack.path]: project } }])];
    });
  },
];

/**
 * @param {Package} pack
 * @param {readonly string[]} tested packages whose sources run in its tests
 * @param {readonly string[]} shared files outside of it that its tests import
 */
function targetsOf(pack, tested, shared) {
  const sources = [
    ...(tested.length > 0 ? [{ input: 'production', projects: [...tested] }] : []),
    ...shared.map(file => `{workspaceRoot}/${file}`),
  ];
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
 * What the tests of a package read besides it: packages by name, and files of `tools/test-support` or of the tests of other
 * packages, with what those import in turn.
 *
 * @param {Package} pack
 * @param {import('./check/workspace.mjs').Workspace} workspace
 */
function readByTests({ path }, { packages, files, read }) {
  const known = new Set(files);
  const seen = new Set(
    files.filter(
      file => /\.[cm]?[jt]s$/.test(file) && [`${path}/test/`, `${path}/bench/`].some(at => file.startsWith(at)),
    ),
  );
  /** @type {Set<string>} */
  const names = new Set();
  // What is added on the way is visited, too.
  for (const file of seen) {
    const text = read(file);
    for (const [, name = ''] of text.matchAll(/['"](@frugaljs\/[a-z0-9-]+|frugaljs)(?:\/[^'"]*)?['"]/g))
      names.add(name);
    for (const [, specifier = ''] of text.matchAll(/(?:from|import) '(\.[^']+)'/g)) {
      const imported = posix.join(posix.dirname(file), specifier.replace(/\.js$/, '.ts'));
      const owner = packages.find(other => imported.startsWith(`${other.path}/src/`));
      if (owner !== undefined) names.add(owner.manifest.name ?? '');
      else if (known.has(imported)) seen.add(imported);
    }
  }
  return { names: [...names], shared: [...seen].filter(file => !file.startsWith(`${path}/`)).sort() };
}
