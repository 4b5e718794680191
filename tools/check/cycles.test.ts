import { expect, it } from 'vitest';
import { checkCycles, findCycles } from './cycles.mjs';
import { fixturePackage, fixtureWorkspace } from './fixture-workspace.js';

it('finds a cycle between files and names its members', () => {
  const { failures } = checkCycles(
    fixtureWorkspace({
      ...fixturePackage('core'),
      'packages/core/src/a.ts': "import { b } from './deep/b.js';",
      'packages/core/src/deep/b.ts': "export { c } from '../c.js';",
      'packages/core/src/c.ts': "import { a } from './a.js';",
    }),
  );
  expect(failures).toEqual([
    'cycle: packages/core/src/a.ts → packages/core/src/deep/b.ts → packages/core/src/c.ts → packages/core/src/a.ts',
  ]);
});

it('finds a cycle that types close', () => {
  const { failures } = checkCycles(
    fixtureWorkspace({
      ...fixturePackage('core'),
      'packages/core/src/a.ts': "import { b } from './b.js';",
      'packages/core/src/b.ts': "import type { A } from './a.js';",
    }),
  );
  expect(failures).toEqual(['cycle: packages/core/src/a.ts → packages/core/src/b.ts → packages/core/src/a.ts']);
});

it('finds a cycle between packages', () => {
  const { failures } = checkCycles(
    fixtureWorkspace({
      ...fixturePackage('core', { dependencies: { '@frugaljs/linalg': '0.1.0' } }),
      ...fixturePackage('linalg', { dependencies: { '@frugaljs/core': '0.1.0' } }),
    }),
  );
  expect(failures).toEqual(['cycle: packages/core → packages/linalg → packages/core']);
});

it('reports nothing for a diamond', () => {
  const diamond = new Map([
    ['top', ['left', 'right']],
    ['left', ['bottom']],
    ['right', ['bottom']],
    ['bottom', []],
  ]);
  expect(findCycles(diamond)).toEqual([]);
});
