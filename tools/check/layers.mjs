// Which package may import what: the table of docs/design.md ("Packages") as data. Arrows go down the table only:
// a package may import packages that stand above it here, and of those only the ones it lists.

/**
 * @typedef {object} Layer
 * @property {readonly string[]} workspace packages of this repository, without the scope
 * @property {readonly string[]} external packages from the registry; '*': any that its package.json declares
 * @property {boolean | string} node whether Node's own modules (node:fs …) may be used: false for what must also run in
 *   a page; a folder of src/ for a package that does both
 */

const tfjs = '@tensorflow/tfjs-core';
const primitives = ['state-full', 'state-free', 'projectors'];
const backends = ['backend-wasm', 'backend-webgpu', 'backend-node'];

/** @type {Readonly<Record<string, Layer>>} */
export const layers = {
  core: { workspace: [], external: [tfjs], node: false },
  'state-full': { workspace: ['core'], external: [tfjs], node: false },
  'state-free': { workspace: ['core'], external: [tfjs], node: false },
  'wasm-assembly': { workspace: [], external: [], node: false },
  linalg: { workspace: ['core', 'wasm-assembly'], external: [tfjs], node: false },
  projectors: { workspace: ['core', 'linalg'], external: [tfjs], node: false },
  composer: { workspace: ['core', ...primitives], external: [tfjs], node: false },
  'backend-wasm': {
    workspace: ['core', 'wasm-assembly'],
    external: [tfjs, '@tensorflow/tfjs-backend-wasm'],
    node: false,
  },
  'backend-webgpu': {
    workspace: ['core'],
    external: [tfjs, '@tensorflow/tfjs-backend-webgpu', 'webgpu'],
    node: 'node',
  },
  'backend-node': {
    workspace: ['core', 'linalg'],
    external: [tfjs, '@tensorflow/tfjs-node', '@tensorflow/tfjs-node-gpu'],
    node: true,
  },
  testing: { workspace: ['core'], external: [tfjs, 'fast-check', 'vitest'], node: false },
  checkpoint: { workspace: ['core', 'composer'], external: [tfjs], node: 'node' },
  llama: { workspace: [], external: [tfjs, '@huggingface/tokenizers'], node: 'node' },
  trainer: {
    workspace: ['core', 'linalg', ...primitives, 'composer', ...backends, 'testing', 'checkpoint', 'llama'],
    external: ['*'],
    node: true,
  },
  playground: {
    workspace: ['core', 'linalg', ...primitives, 'composer', ...backends, 'testing', 'checkpoint', 'llama', 'trainer'],
    external: ['*'],
    node: false,
  },
};

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
      .map(target => `tools/check/layers.mjs: ${name} may import ${target}, which does not stand above it`),
  );
}
