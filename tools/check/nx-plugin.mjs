// Gives every published package the nx target `package-check`, so that a new package needs no configuration of its own.
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

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
  (manifests, _, { workspaceRoot }) =>
    manifests.map(file => {
      const { private: isApplication = false } = JSON.parse(readFileSync(join(workspaceRoot, file), 'utf8'));
      /** @type {Record<string, typeof packageCheck>} */
      const targets = isApplication ? {} : { 'package-check': packageCheck };
      return [file, { projects: { [dirname(file)]: { targets } } }];
    }),
];
