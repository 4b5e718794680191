import { expect, it } from 'vitest';
import { fixturePackage, fixtureWorkspace } from './fixture-workspace.js';
import { checkLayers, layers, upwardArrows } from './layers.mjs';

const on = (...names: string[]) => ({ dependencies: Object.fromEntries(names.map(name => [name, '0.1.0'])) });

const failuresFor = (short: string, changes: object, more: Record<string, object> = {}) =>
  checkLayers(fixtureWorkspace({ ...fixturePackage('core'), ...fixturePackage(short, changes), ...more })).failures;

it('accepts what the table allows', () => {
  expect(failuresFor('state-full', on('@frugaljs/core'))).toEqual([]);
});

it.each([
  ['a package below', 'state-full', '@frugaljs/composer'],
  ['a package above that its row does not list', 'state-full', '@frugaljs/wasm-assembly'],
  ['itself', 'state-full', '@frugaljs/state-full'],
  ['a package from the registry', 'linalg', 'lodash'],
])('refuses a dependency on %s', (_, short, name) => {
  const failures = failuresFor(short, on(name));
  expect(failures).toEqual([
    `packages/${short}/package.json: depends on ${name}, which the table does not allow to ${short}`,
  ]);
});

it('refuses the same among peers', () => {
  expect(failuresFor('core', { peerDependencies: { lodash: '^4.0.0' } })).toEqual([
    expect.stringContaining('packages/core/package.json: depends on lodash'),
  ]);
});

it('lets an application depend on any package of the registry', () => {
  expect(failuresFor('playground', on('@frugaljs/core', 'uplot'))).toEqual([]);
});

it('finds packages that depend on each other', () => {
  const circle = fixturePackage('wasm-assembly', { ...on('@frugaljs/linalg'), peerDependencies: {} });
  expect(failuresFor('linalg', on('@frugaljs/wasm-assembly'), circle)).toEqual([
    expect.stringContaining('packages/wasm-assembly/package.json: depends on @frugaljs/linalg'),
  ]);
});

it('refuses a package without a row', () => {
  expect(failuresFor('novel', {})).toEqual([expect.stringContaining('packages/novel: not in the table')]);
});

it('refuses a missing and a superfluous project reference', () => {
  const config = (references: object) => ({ 'packages/state-full/tsconfig.json': { references } });
  expect(failuresFor('state-full', on('@frugaljs/core'), config([]))).toEqual([
    'packages/state-full/tsconfig.json: references lack ../core',
  ]);
  expect(failuresFor('state-full', {}, config([{ path: '../core' }]))).toEqual([
    expect.stringContaining('references ../core, which packages/state-full/package.json does not depend on'),
  ]);
});

it('has a table whose arrows all go down', () => {
  expect(upwardArrows(layers)).toEqual([]);
  const { core, composer } = layers;
  expect(upwardArrows({ composer: composer!, core: core! })).not.toEqual([]);
});
