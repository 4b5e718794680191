import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { fixtureWorkspace } from '../check/fixture-workspace.js';
import { compareSizes, measureImports, writePage } from './sizes.mjs';

const lion = "import { lion } from '@frugaljs/state-full/lion'";
const wasm = "import '@frugaljs/backend-wasm'";
const recorded = writePage(
  new Map([
    [lion, 1600],
    [wasm, 20_200],
  ]),
);

it.each<[string, [string, number][], string[]]>([
  [
    'the same',
    [
      [lion, 1600],
      [wasm, 20_200],
    ],
    [],
  ],
  [
    'within a tenth',
    [
      [lion, 1700],
      [wasm, 22_000],
    ],
    [],
  ],
  [
    'more',
    [
      [lion, 1600],
      [wasm, 22_300],
    ],
    [`${wasm} takes 22300 bytes, recorded are 20200`],
  ],
  [
    'less',
    [
      [lion, 1400],
      [wasm, 20_200],
    ],
    [`${lion} takes 1400 bytes, recorded are 1600`],
  ],
  [
    'an import that is not recorded',
    [
      [lion, 1600],
      [wasm, 20_200],
      ["import 'x'", 1],
    ],
    ["import 'x' is missing"],
  ],
  ['a recorded import that is gone', [[lion, 1600]], [`${wasm} can no longer be imported`]],
])('compares with the page: %s', (_, sizes, messages) => {
  expect(compareSizes(new Map(sizes), recorded)).toEqual(messages.map(message => expect.stringContaining(message)));
});

it('measures what an import reaches, and leaves tfjs out', async () => {
  const { root } = fixtureWorkspace({ 'packages/core/package.json': {} });
  const folder = join(root, 'node_modules/@frugaljs/state-full');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "type": "module", "exports": { "./lion": "./lion.js" } }');
  writeFileSync(join(folder, 'lion.js'), "export { tidy as lion } from '@tensorflow/tfjs-core';");
  const sizes = await measureImports(root, ['@frugaljs/state-full/lion']);
  expect([...sizes.keys()]).toEqual([lion]);
  expect(sizes.get(lion)).toBeGreaterThan(20);
  expect(sizes.get(lion)).toBeLessThan(200);
});
