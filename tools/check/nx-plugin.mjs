// Gives every package the nx target `package-check`, so that a new package needs no configuration of its own.
import { dirname } from 'node:path';

export const name = 'frugal-packages';

const packageCheck = {
  command: 'node tools/check/published.mjs {projectRoot}',
  cache: true,
  // dist/ is a function of these; git ignores it, and nx hashes no ignored files.
  inputs: [
    'production',
    '^production',
    '{workspaceRoot}/LICENSE',
    '{workspaceRoot}/tools/check/published.mjs',
    '{workspaceRoot}/tools/check/entries.mjs',
    { runtime: 'node --version' },
  ],
  outputs: [],
};

/** @type {import('nx/src/devkit-exports').CreateNodesV2} */
export const createNodesV2 = [
  'packages/*/package.json',
  manifests =>
    manifests.map(file => [file, { projects: { [dirname(file)]: { targets: { 'package-check': packageCheck } } } }]),
];
