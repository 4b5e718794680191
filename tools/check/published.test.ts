import { expect, it } from 'vitest';
import { fixturePackage, fixtureWorkspace } from './fixture-workspace.js';
import { checkPublished } from './published.mjs';

const exports = {
  '.': { '@frugaljs/source': './src/index.ts', types: './dist/index.d.ts', default: './dist/index.js' },
  './*': { '@frugaljs/source': './src/*.ts', types: './dist/*.d.ts', default: './dist/*.js' },
};
const code = 'export const one = 1;\n';
const declaration = 'export declare const one: 1;\n';
const good = {
  ...fixturePackage('core', { exports, sideEffects: false }),
  'packages/core/README.md': '# core\n',
  'packages/core/LICENSE': 'terms\n',
  'packages/core/src/index.ts': "export { one } from './part/one.js';\n",
  'packages/core/src/part/one.ts': code,
  'packages/core/dist/index.js': "export { one } from './part/one.js';\n",
  'packages/core/dist/index.d.ts': "export { one } from './part/one.js';\n",
  'packages/core/dist/part/one.js': code,
  'packages/core/dist/part/one.d.ts': declaration,
};

const check = (changes: Record<string, string | object> = {}) =>
  checkPublished(fixtureWorkspace({ ...good, ...changes }).root, 'packages/core');

it('passes a package whose tarball, types and imports are right', async () => {
  expect(await check()).toEqual([]);
});

it('leaves the notes of the compiler out of the tarball', async () => {
  const notes = { 'packages/core/dist/.tsbuildinfo': '{}' };
  expect(await check(notes)).toEqual([]);
  const files = fixturePackage('core', { exports, sideEffects: false, files: ['dist', 'src', 'README.md', 'LICENSE'] });
  expect(await check({ ...notes, ...files })).toEqual([expect.stringContaining('the tarball holds dist/.tsbuildinfo')]);
});

it.each<[string, RegExp, Record<string, string | object>]>([
  [
    'an export that the tarball lacks',
    /^publint: .*@frugaljs\/source.* is .\/src\/.* does not/m,
    fixturePackage('core', {
      exports,
      sideEffects: false,
      files: ['dist', '!dist/.tsbuildinfo', 'README.md', 'LICENSE'],
    }),
  ],
  [
    'types that do not resolve in Node',
    /^attw: InternalResolutionError .*dist\/index\.d\.ts imports '.\/part\/one'/m,
    { 'packages/core/dist/index.d.ts': "export { one } from './part/one';\n" },
  ],
  [
    'an entry that throws when imported',
    /^@frugaljs\/core\/part\/one: .*node:absent/m,
    { 'packages/core/dist/part/one.js': "import 'node:absent';\n" },
  ],
])('finds %s', async (_, message, changes) => {
  expect((await check(changes)).join('\n')).toMatch(message);
});

it('asks for a build when an output is missing', async () => {
  const failures = await check({ 'packages/core/src/new.ts': code });
  expect(failures).toEqual(['packages/core/dist/new.js: not built; run npm run build']);
});
