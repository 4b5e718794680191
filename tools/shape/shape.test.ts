import { describe, expect, it } from 'vitest';
import { fixturePackage, fixtureWorkspace } from '../check/fixture-workspace.js';
import { runProgram } from '../test-support/node-process.js';
import { violations } from './limits.mjs';
import { measureSizes, median } from './sizes.mjs';

it('counts files and lines by package, and in total', () => {
  const workspace = fixtureWorkspace({
    ...fixturePackage('core'),
    'packages/core/src/a.ts': 'one\n',
    'packages/core/src/deep/b.ts': 'one\ntwo\nthree\n',
    'packages/core/test/c.ts': 'not counted\n',
    ...fixturePackage('page', { private: true }),
    'packages/page/src/d.ts': 'one\ntwo\nthree\nfour\nfive\n',
    'packages/page/src/page.css': 'not counted\n',
  });
  const { packages, total } = measureSizes(workspace);
  expect(packages).toEqual([
    { name: 'core', files: 2, median: 2, max: 3, longest: 'packages/core/src/deep/b.ts' },
    { name: 'page', files: 1, median: 5, max: 5, longest: 'packages/page/src/d.ts' },
  ]);
  expect(total).toEqual({ name: 'total', files: 3, median: 3, max: 5, longest: 'packages/page/src/d.ts' });
});

it.each([
  [[], 0],
  [[7], 7],
  [[9, 1], 5],
  [[3, 1, 2], 2],
])('takes the median of %j', (values, expected) => expect(median(values)).toBe(expected));

describe('violations', () => {
  const good = { files: 320, median: 100, route: { files: 18, functions: 60 } };
  const check = (changes: object, lines = new Map([['a.ts', 600]])) => violations({ ...good, ...changes }, lines);

  it('accept what just fits', () => expect(check({})).toEqual([]));

  it.each([
    ['321 source files', { files: 321 }],
    ['99 lines', { median: 99 }],
    ['19 files and 60 functions', { route: { files: 19, functions: 60 } }],
    ['18 files and 61 functions', { route: { files: 18, functions: 61 } }],
  ])('name %s', (message, changes) => expect(check(changes)).toEqual([expect.stringContaining(message)]));

  it('name a file that is too long', () => {
    expect(check({}, new Map([['a.ts', 601]]))).toEqual([expect.stringContaining('a.ts: 601 lines')]);
  });
});

it('finds the way of a steady update through composer and backend-wasm, the same each time', async () => {
  const measure = async () => {
    return JSON.parse(await runProgram(new URL('main.ts', import.meta.url), '--json'));
  };
  const [first, second] = [await measure(), await measure()];
  expect(first.route.files).toBeGreaterThan(2);
  expect(first.route.functions).toBeGreaterThan(first.route.files);
  expect(second).toEqual(first);
});
