import { expect, it } from 'vitest';
import { fixturePackage, fixtureWorkspace } from './check/fixture-workspace.js';
import { createNodesV2 } from './nx-plugin.mjs';

const on = (...names: string[]) => ({
  dependencies: Object.fromEntries(names.map(name => [`@frugaljs/${name}`, '0.1.0'])),
});

async function projectsOf(files: Record<string, string | object>) {
  const { root, packages } = fixtureWorkspace(files);
  const manifests = packages.map(({ path }) => `${path}/package.json`);
  const context = { workspaceRoot: root, nxJsonConfiguration: {} };
  const results = await createNodesV2[1](manifests, undefined, context);
  return Object.assign({}, ...results.map(([, { projects }]) => projects));
}

const files = {
  ...fixturePackage('core'),
  ...fixturePackage('linalg', on('core')),
  ...fixturePackage('testing', on('core')),
  ...fixturePackage('projectors', on('linalg')),
  'packages/projectors/test/laws.test.ts': "import { laws } from '@frugaljs/testing/laws';",
  ...fixturePackage('page', { private: true, ...on('projectors') }),
};

it('lets tests depend on what they read: sources of packages below, and of those above', async () => {
  const { 'packages/projectors': project } = await projectsOf(files);
  const read = (target: string) =>
    project.targets[target].inputs.flatMap((input: { projects?: string[] }) => input.projects ?? []);
  expect(read('test')).toEqual(['@frugaljs/core', '@frugaljs/linalg', '@frugaljs/testing']);
  expect(read('typecheck')).toEqual(['@frugaljs/core', '@frugaljs/linalg', '@frugaljs/testing']);
});

it('lets tests depend on files that they share with others, and on what those read', async () => {
  const { 'packages/core': project } = await projectsOf({
    ...files,
    'packages/core/test/a.test.ts': "import { close } from '../../../tools/shared/close.js';\nimport '../src/b.js';",
    'packages/core/src/b.ts': '',
    'tools/shared/close.ts': "import './distance.js';",
    'tools/shared/distance.ts': "import '@frugaljs/linalg';",
    'tools/shared/other.ts': '',
  });
  for (const target of ['test', 'typecheck']) {
    expect(project.targets[target].inputs.slice(2)).toEqual([
      { input: 'production', projects: ['@frugaljs/linalg'] },
      '{workspaceRoot}/tools/shared/close.ts',
      '{workspaceRoot}/tools/shared/distance.ts',
    ]);
  }
});

it('gives each published package a build and a check of its tarball', async () => {
  const { 'packages/core': core } = await projectsOf(files);
  expect(Object.keys(core.targets)).toEqual(['lint', 'typecheck', 'test', 'build', 'package-check']);
});

it('leaves the build of an application to its own script, and does not check its tarball', async () => {
  const { 'packages/page': page } = await projectsOf(files);
  expect(Object.keys(page.targets)).toEqual(['lint', 'typecheck', 'test']);
});
