import { expect, it } from 'vitest';
import { checkBackendNames } from './backend-names.mjs';
import { fixturePackage, fixtureWorkspace } from './fixture-workspace.js';

const failuresFor = (source: string, short = 'composer') =>
  checkBackendNames(
    fixtureWorkspace({ ...fixturePackage(short), [`packages/${short}/src/deep/a.ts`]: `\n${source}\n` }),
  ).failures;

it.each([
  "if (getBackend() === 'wasm') copy();",
  'const slow = new Set(["cpu"]);',
  'const name = `webgl`;',
  "type Backend = 'webgpu' | string;",
  "switch (name) { case 'tensorflow': break; }",
])('refuses %s', source => {
  expect(failuresFor(source)).toEqual([
    expect.stringMatching(/^packages\/composer\/src\/deep\/a\.ts:2: '\w+' is a backend's name/),
  ]);
});

it.each(['core', 'composer', 'linalg', 'projectors', 'checkpoint'])('looks into %s', short => {
  expect(failuresFor("getBackend() === 'cpu'", short)).toHaveLength(1);
});

it.each([
  ['what contains such a name', "throw new Error('on wasm, x is missing')", 'core'],
  ['comments', "// 'wasm' is the default", 'core'],
  ['packages for one backend', "registerKernels('wasm', kernels)", 'backend-wasm'],
])('accepts %s', (_, source, short) => {
  expect(failuresFor(source, short)).toEqual([]);
});
