// The rules that other tools check for us, on sources that break them: a rule that is switched off, or that its tool
// understands differently in a later version, would otherwise pass unnoticed.
import { execFile } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { fixturePackage, fixtureWorkspace } from './fixture-workspace.js';

const workspace = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

/** Output of a tool of the workspace, run in another folder. */
async function output(tool: string, args: string[], cwd: string): Promise<string> {
  const command = join(workspace, 'node_modules/.bin', tool);
  const { stdout, stderr } = await run(command, args, { cwd }).catch(error => error);
  return `${stdout}${stderr}`;
}

/** Rules broken by a workspace, as FILE:LINE RULE. */
async function lint(files: Record<string, string | object>): Promise<string[]> {
  const { root } = fixtureWorkspace({
    'package.json': { name: 'root', private: true, devDependencies: { vitest: '4.0.0' } },
    '.gitignore': 'dist/\n',
    ...fixturePackage('core'),
    ...fixturePackage('state-full', {
      dependencies: { '@frugaljs/core': '0.1.0' },
      devDependencies: { 'fast-check': '4.0.0' },
    }),
    ...files,
  });
  mkdirSync(join(root, 'tools/check'), { recursive: true });
  for (const file of ['biome.json', 'tools/check/imports.grit']) copyFileSync(join(workspace, file), join(root, file));
  const text = await output('biome', ['lint', '--max-diagnostics=none', '--reporter=github', 'packages'], root);
  return [...text.matchAll(/title=(\S+?),file=[^,]*?(packages[^,]+),line=(\d+)/g)]
    .map(([, rule, file, line]) => `${file}:${line} ${rule}`)
    .sort();
}

const source = 'packages/state-full/src/deep/a.ts';

describe('imports', () => {
  it('may name what package.json declares, and files of the package', async () => {
    const text = `
      import type { Rule } from '@frugaljs/core';
      import { slotBytes } from '@frugaljs/core/slots';
      import { tidy } from '@tensorflow/tfjs-core';
      import { b } from '../b.js';
      // import '@frugaljs/composer';
      export const all = [tidy, b, slotBytes, "import '@frugaljs/composer'"];
      export type { Rule };`;
    expect(await lint({ [source]: text, 'packages/state-full/src/b.ts': 'export const b = 1;' })).toEqual([]);
  });

  const refused: [string, string][] = [
    ["import '@frugaljs/composer';", 'noUndeclaredDependencies'],
    ["import { rows } from '@frugaljs/projectors/rows';\nexport { rows };", 'noUndeclaredDependencies'],
    ["export * from '@frugaljs/projectors/rows';", 'noUndeclaredDependencies'],
    ["export const load = () => import('@frugaljs/trainer');", 'noUndeclaredDependencies'],
    ["import type { T } from '@frugaljs/trainer';\nexport type { T };", 'noUndeclaredDependencies'],
    ["import 'vitest';", 'noUndeclaredDependencies'],
    ["import 'fast-check';", 'noUndeclaredDependencies'],
    ["import 'node:fs';", 'noNodejsModules'],
    ["export const load = () => import('node:fs');", 'noNodejsModules'],
    ["export type T = import('@frugaljs/core').T;", 'plugin'],
    ["import '@frugaljs/state-full';", 'plugin'],
    ["export * from '@frugaljs/state-full/lion';", 'plugin'],
  ];

  it('are refused otherwise', async () => {
    const name = (index: number) => `packages/state-full/src/deep/${String(index).padStart(2, '0')}.ts`;
    const broken = await lint(Object.fromEntries(refused.map(([text], index) => [name(index), text])));
    expect(broken).toEqual(refused.map(([, rule], index) => expect.stringMatching(`^${name(index)}:1 .*${rule}`)));
  });

  it('of Node modules are allowed in packages for Node, and in files called node', async () => {
    const files = [
      'packages/state-full/src/node.ts',
      'packages/state-full/src/node/file.ts',
      'packages/backend-node/src/a.ts',
      'packages/trainer/src/a.ts',
    ];
    expect(await lint(Object.fromEntries(files.map(file => [file, "import 'node:fs';"])))).toEqual([]);
  });

  it('outside of src may name packages of the workspace', async () => {
    expect(await lint({ 'packages/state-full/test/a.test.ts': "import '@frugaljs/composer';" })).toEqual([]);
  });
});

describe('circles', () => {
  const a = 'packages/core/src/a.ts';
  const b = 'packages/core/src/b.ts';
  it.each([
    ['of values', "import { b } from './b.js';\nexport const a = b;", "export { a as b } from './a.js';"],
    [
      'that types close',
      "import { b } from './b.js';\nexport const a = b;\nexport type A = 1;",
      "import type { A } from './a.js';\nexport const b: A = 1;",
    ],
    [
      'of types alone',
      "import type { B } from './b.js';\nexport interface A { b: B }",
      "import type { A } from './a.js';\nexport interface B { a: A }",
    ],
  ])('%s are refused', async (_, first, second) => {
    const broken = await lint({ [a]: first, [b]: second });
    expect(broken).toHaveLength(2);
    expect(broken[0]).toMatch(/a\.ts:1 .*noImportCycles/);
    expect(broken[1]).toMatch(/b\.ts:1 .*noImportCycles/);
  });

  it('of three files are refused', async () => {
    const broken = await lint({
      [a]: "export { b as a } from './deep/b.js';",
      'packages/core/src/deep/b.ts': "export { c as b } from '../c.js';",
      'packages/core/src/c.ts': "import { a } from './a.js';\nexport const c = () => a;",
    });
    expect(broken).toHaveLength(3);
  });

  it('do not include two ways to one file', async () => {
    const broken = await lint({
      [a]: "export { one } from './one.js';\nexport { two } from './two.js';",
      'packages/core/src/one.ts': "export { end as one } from './end.js';",
      'packages/core/src/two.ts': "export { end as two } from './end.js';",
      'packages/core/src/end.ts': 'export const end = 1;',
    });
    expect(broken).toEqual([]);
  });
});

it('the compiler refuses a relative import that leaves the sources of a package', async () => {
  const { root } = fixtureWorkspace({
    'tsconfig.base.json': { compilerOptions: { composite: true, module: 'NodeNext', types: [] } },
    'packages/core/package.json': { type: 'module' },
    'packages/core/tsconfig.json': {
      extends: '../../tsconfig.base.json',
      compilerOptions: { rootDir: 'src' },
      include: ['src'],
    },
    'packages/core/src/a.ts': "import '../../linalg/src/b.js';\nimport '../test/c.js';",
    'packages/linalg/src/b.ts': 'export {};',
    'packages/core/test/c.ts': 'export {};',
  });
  const text = await output('tsc', ['-p', 'packages/core', '--pretty', 'false'], root);
  expect(text).toMatch(/a\.ts\(1,8\): error TS6059: .*linalg\/src\/b\.ts' is not under 'rootDir'/);
  expect(text).toMatch(/a\.ts\(2,8\): error TS6059: .*core\/test\/c\.ts' is not under 'rootDir'/);
});

describe('links', () => {
  const { repository } = JSON.parse(readFileSync(join(workspace, 'package.json'), 'utf8'));
  const address = `${repository.url.replace(/^git\+|\.git$/g, '')}/blob/main`;
  const page = 'docs/a.md';
  const readme = 'packages/core/README.md';

  const check = async (links: string, file = page) => {
    const { root } = fixtureWorkspace({
      ...fixturePackage('core'),
      'packages/core/src/a.ts': '',
      'packages/core/test/b.ts': '',
      'docs/b.md': '# Bits & bytes\n\n```sh\n# no\n```\n',
      [file]: `first\n\n${links}\n`,
    });
    const rules = join(workspace, '.remarkrc.mjs');
    const options = ['--frail', '--quiet', '--no-color', '--no-stdout', '--no-config', '--rc-path', rules, '.'];
    return output('remark', options, root);
  };

  it('accept files, folders, headings, addresses and what stands in code', async () => {
    const links = '[b](b.md) [c](../packages/core) [d](b.md#bits--bytes) `[x](y.md)` [w](https://example.org)';
    expect(await check(`${links} [e](${address}/docs/b.md#bits--bytes)`)).toBe('');
    expect(await check(`[a](src/a.ts) [l](./LICENSE) [b](${address}/docs/b.md)`, readme)).not.toContain('tarball');
  });

  it('refuse what is not there', async () => {
    const links = ['c.md', 'b.md#nothing', 'b.md#no', '#here', `${address}/docs/c.md`, `${address}/docs/b.md#nothing`];
    const found = await check(links.map(link => `[b](${link})`).join('\n'));
    const lines = [...found.matchAll(/^(\d+):1-\d+:\d+\s+warning/gm)].map(([, line]) => Number(line));
    expect(lines).toEqual(links.map((_, index) => index + 3));
  });

  it('of a README refuse what its tarball lacks', async () => {
    const links = ['../../docs/b.md', '../core', 'test/b.ts'];
    const found = await check(links.map(link => `[b](${link})`).join('\n'), readme);
    for (const link of links) expect(found).toContain(`${link} is not in the tarball of packages/core`);
  });
});
