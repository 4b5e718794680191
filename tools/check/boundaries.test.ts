import { describe, expect, it } from 'vitest';
import { checkBoundaries } from './boundaries.mjs';
import { fixturePackage, fixtureWorkspace } from './fixture-workspace.js';
import { importsOf } from './imports.mjs';
import { layers, upwardArrows } from './layers.mjs';

const onCore = { dependencies: { '@frugaljs/core': '0.1.0' } };

function failuresFor(source: string, short = 'state-full', changes: object = onCore): string[] {
  const workspace = fixtureWorkspace({
    ...fixturePackage('core'),
    ...fixturePackage(short, changes),
    [`packages/${short}/src/deep/a.ts`]: source,
    [`packages/${short}/src/b.ts`]: 'export const b = 1;',
  });
  return checkBoundaries(workspace).failures;
}

describe('import boundaries', () => {
  it('accept what the table allows', () => {
    const source = `
      import { tidy } from '@tensorflow/tfjs-core';
      import type { Rule } from '@frugaljs/core';
      export { slotBytes } from '@frugaljs/core/slots';
      import { b } from '../b.js';
      // import '@frugaljs/composer';
      const text = "import '@frugaljs/composer'";`;
    expect(failuresFor(source)).toEqual([]);
  });

  it.each([
    [
      "import { compose } from '@frugaljs/composer';",
      "'@frugaljs/composer' is not allowed; state-full may import only",
    ],
    ["export * from '@frugaljs/composer/recipes';", "'@frugaljs/composer/recipes' is not allowed"],
    ["const m = await import('@frugaljs/trainer');", "'@frugaljs/trainer' is not allowed"],
    ["type T = import('@frugaljs/trainer').T;", "'@frugaljs/trainer' is not allowed"],
    ["import 'lodash';", "'lodash' is not allowed"],
    ["import { readFile } from 'node:fs';", "'node:fs' exists only in Node"],
    ["import { x } from '../../../core/src/site.js';", 'leaves packages/state-full/src'],
    ["import { x } from '../../test/x.js';", 'leaves packages/state-full/src'],
    ["import { x } from '@frugaljs/state-full';", 'is the package itself'],
  ])('refuse %s', (source, message) => {
    const failures = failuresFor(`\n${source}\n`);
    expect(failures).toHaveLength(1);
    expect(failures[0]).toContain('packages/state-full/src/deep/a.ts:2: ');
    expect(failures[0]).toContain(message);
  });

  it('refuse an import that package.json does not declare', () => {
    const failures = failuresFor("import { Rule } from '@frugaljs/core';", 'state-full', {});
    expect(failures).toEqual([expect.stringContaining('declares @frugaljs/core neither in dependencies nor')]);
  });

  it('refuse a declared dependency that the table does not allow, and a missing project reference', () => {
    const failures = failuresFor('', 'linalg', onCore);
    expect(failures).toEqual([expect.stringContaining('depends on @frugaljs/core, which the table does not allow')]);
  });

  it('refuse a package without a row', () => {
    expect(failuresFor('', 'novel', {})).toEqual([expect.stringContaining('packages/novel: not in the table')]);
  });

  it('have a table whose arrows all go down', () => {
    expect(upwardArrows(layers)).toEqual([]);
    const { core, composer } = layers;
    expect(upwardArrows({ composer: composer!, core: core! })).not.toEqual([]);
  });
});

describe('importsOf', () => {
  it('tells imports of types from those that load a module', () => {
    const source = "import type { A } from 'a';\nimport { type B } from 'b';\nexport type { C } from 'c';\nimport 'd';";
    expect(importsOf(source, 'x.ts')).toEqual([
      { specifier: 'a', line: 1, typeOnly: true },
      { specifier: 'b', line: 2, typeOnly: false },
      { specifier: 'c', line: 3, typeOnly: true },
      { specifier: 'd', line: 4, typeOnly: false },
    ]);
  });
});
