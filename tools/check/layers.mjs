// Which package may depend on what: the table of docs/design.md ("Packages") as data. Arrows go down the table only:
// a package may depend on packages that stand above it here, and of those only on the ones it lists.
//
// What is held against the table is package.json, and project references against package.json. That sources import only
// what their package.json declares, Biome sees (noUndeclaredDependencies, and tools/check/imports.grit for what that rule
// does not look at); that they do not leave their folder by a relative path, the compiler (rootDir). The table itself no
// linter expresses without repeating it.
import { posix } from 'node:path';

/**
 * @typedef {object} Layer
 * @property {readonly string[]} workspace packages of this repository, without the scope
 * @property {readonly string[]} external packages from the registry; '*': any that its package.json declares
 */

const tfjs = '@tensorflow/tfjs-core';
const primitives = ['state-full', 'state-free', 'projectors'];
const backends = ['backend-wasm', 'backend-webgpu', 'backend-node'];

/** @type {Readonly<Record<string, Layer>>} */
export const layers = {
  core: { workspace: [], external: [tfjs] },
  'wasm-assembly': { workspace: [], external: [] },
  linalg: { workspace: ['core', 'wasm-assembly'], external: [tfjs] },
  'state-full': { workspace: ['core', 'linalg'], external: [tfjs] },
  'state-free': { workspace: ['core'], external: [tfjs] },
  projectors: { workspace: ['core', 'linalg'], external: [tfjs] },
  composer: { workspace: ['core', ...primitives], external: [tfjs] },
  'backend-wasm': {
    workspace: ['core', 'wasm-assembly'],
    external: [tfjs, '@tensorflow/tfjs-backend-wasm'],
  },
  'backend-webgpu': {
    workspace: ['core'],
    external: [tfjs, '@tensorflow/tfjs-backend-webgpu', 'webgpu'],
  },
  'backend-node': {
    workspace: ['core', 'linalg'],
    external: [tfjs, '@tensorflow/tfjs-node', '@tensorflow/tfjs-node-gpu'],
  },
  frugaljs: {
    workspace: ['core', ...primitives, 'composer', ...backends],
    external: [
      tfjs,
      '@tensorflow/tfjs-layers',
      '@tensorflow/tfjs-backend-cpu',
      '@tensorflow/tfjs-backend-wasm',
      '@tensorflow/tfjs-backend-webgpu',
    ],
  },
  testing: { workspace: ['core'], external: [tfjs, 'fast-check', 'vitest'] },
  checkpoint: { workspace: ['core', 'composer'], external: [tfjs] },
  adapters: { workspace: ['core', 'composer', 'checkpoint'], external: [tfjs] },
  llama: { workspace: [], external: [tfjs, '@huggingface/tokenizers'] },
  trainer: {
    workspace: ['core', 'linalg', ...primitives, 'composer', ...backends, 'testing', 'checkpoint', 'adapters', 'llama'],
    external: ['*'],
  },
  playground: {
    workspace: [
      'core',
      'linalg',
      ...primitives,
      'composer',
      ...backends,
      'testing',
      'checkpoint',
      'adapters',
      'llama',
      'trainer',
    ],
    external: ['*'],
  },
};

/**
 * @param {import('./workspace.mjs').Workspace} workspace
 * @param {Readonly<Record<string, Layer>>} [table]
 * @returns {import('./workspace.mjs').Findings}
 */
export function checkLayers(workspace, table = layers) {
  const failures = upwardArrows(table);
  let arrows = 0;
  for (const pack of workspace.packages) {
    const layer = table[pack.short];
    if (!layer) {
      failures.push(`${pack.path}: not in the table; add a row to tools/check/layers.mjs and to docs/design.md`);
      continue;
    }
    const { dependencies = {}, peerDependencies = {} } = pack.manifest;
    const declared = Object.keys({ ...dependencies, ...peerDependencies });
    arrows += declared.length;
    failures.push(
      ...declared
        .filter(name => !mayDependOn(workspace, layer, name))
        .map(name => `${pack.path}/package.json: depends on ${name}, which the table does not allow to ${pack.short}`),
      ...wrongReferences(workspace, pack, declared),
    );
  }
  return { failures, note: `${arrows} dependencies` };
}

/**
 * @param {import('./workspace.mjs').Workspace} workspace
 * @param {Layer} layer
 * @param {string} name
 */
function mayDependOn({ scope }, layer, name) {
  if (name.startsWith(scope)) return layer.workspace.includes(name.slice(scope.length));
  return layer.external.includes('*') || layer.external.includes(name);
}

// A missing project reference breaks `tsc -b` only on a clean checkout.
/**
 * @param {import('./workspace.mjs').Workspace} workspace
 * @param {import('./workspace.mjs').Package} pack
 * @param {readonly string[]} declared
 */
function wrongReferences({ files, read, scope }, pack, declared) {
  const config = `${pack.path}/tsconfig.json`;
  if (!files.includes(config)) return [`${config}: missing`];
  const wanted = declared.filter(name => name.startsWith(scope)).map(name => name.slice(scope.length));
  /** @type {{ path: string }[]} */
  const references = JSON.parse(read(config)).references ?? [];
  const found = references.map(({ path }) => posix.basename(path));
  return [
    ...wanted.filter(short => !found.includes(short)).map(short => `${config}: references lack ../${short}`),
    ...found
      .filter(short => !wanted.includes(short))
      .map(short => `${config}: references ../${short}, which ${pack.path}/package.json does not depend on`),
  ];
}

/**
 * Places where the table itself points upwards or to a package that it does not hold.
 *
 * @param {Readonly<Record<string, Layer>>} table
 * @returns {string[]}
 */
export function upwardArrows(table) {
  const names = Object.keys(table);
  return names.flatMap((name, row) =>
    (table[name]?.workspace ?? [])
      .filter(target => !names.slice(0, row).includes(target))
      .map(target => `tools/check/layers.mjs: ${name} may depend on ${target}, which does not stand above it`),
  );
}
