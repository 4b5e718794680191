import { execFile } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { generate } from './generate.mjs';
import { insertModuleStatement, insertReadmeRows, insertSubPath, insertTableEntry } from './insert.mjs';
import { namesOf } from './names.mjs';

const root = fileURLToPath(new URL('../..', import.meta.url));
const run = promisify(execFile);

/** Runs a command of node and returns what it printed, also when it fails. */
async function output(args: string[], cwd: string): Promise<string> {
  const { stdout, stderr } = await run(process.execPath, args, { cwd }).catch(error => error);
  return `${stdout}${stderr}`;
}

it.each<[Parameters<typeof generate>[1], string, RegExp]>([
  ['recipe', 'sgd', /recipes\/index\.ts exports sgd; choose another name/],
  ['combine', 'subspace', /exports subspace/i],
  ['rule', 'subspace', /exports subspace/i],
  ['rule', 'signSgd', /state-free\/src\/index\.ts exports signSgd/],
  ['projector', 'default', /default is a word of the language/],
  ['rule', 'class', /class is a word of the language/],
])('refuses %s %s, which would not compile or would hide another part', (kind, name, message) => {
  expect(() => generate(root, kind, name)).toThrow(message);
});

describe('generate', () => {
  let copy = '';
  let written: string[] = [];

  beforeAll(() => {
    // Within the workspace, so that the names of its packages resolve.
    mkdirSync(join(root, '.cache'), { recursive: true });
    copy = mkdtempSync(join(root, '.cache/new-'));
    for (const short of ['state-full', 'state-free', 'projectors', 'composer']) {
      for (const part of ['src', 'package.json', 'README.md']) {
        const path = `packages/${short}/${part}`;
        if (existsSync(join(root, path))) cpSync(join(root, path), join(copy, path), { recursive: true });
      }
    }
    written = [
      ...generate(copy, 'rule', 'heavyBall'),
      ...generate(copy, 'state-free-rule', 'clipped-gradient'),
      ...generate(copy, 'projector', 'topRows'),
      ...generate(copy, 'combine', 'wholeResidual'),
      ...generate(copy, 'recipe', 'someColumns'),
    ];
  });

  afterAll(() => rmSync(copy, { recursive: true }));

  it('writes source, test, index, table and documentation', () => {
    expect(written).toEqual(
      expect.arrayContaining([
        'packages/state-full/src/heavy-ball.ts',
        'packages/state-full/test/heavy-ball.test.ts',
        'packages/state-full/src/index.ts',
        'packages/state-full/src/table.ts',
        'packages/state-full/README.md',
        'packages/state-free/src/clipped-gradient.ts',
        'packages/state-free/src/index.ts',
        'packages/state-free/src/table.ts',
        'packages/state-free/README.md',
        'packages/projectors/src/top-rows.ts',
        'packages/projectors/src/index.ts',
        'packages/projectors/src/table.ts',
        'packages/projectors/README.md',
        'packages/composer/src/combine/whole-residual.ts',
        'packages/composer/test/whole-residual.test.ts',
        'packages/composer/src/compose.ts',
        'packages/composer/src/built-ins.ts',
        'packages/composer/src/recipes/some-columns.ts',
        'packages/composer/test/some-columns.test.ts',
        'packages/composer/src/recipes/index.ts',
        'packages/composer/src/recipes/catalog.ts',
        'packages/composer/src/recipes/options.ts',
        'packages/composer/README.md',
      ]),
    );
    const text = written.map(file => readFileSync(join(copy, file), 'utf8')).join('\n');
    expect(text).not.toMatch(/template/i);
    expect(text).toContain('export { type ClippedGradientOptions, clippedGradient }');
    expect(text).toMatch(/^\| `heavyBall` .*\| 4 m n /m);
    expect(text).toMatch(/^\| `clippedGradient` /m);
    expect(text).toMatch(/^\| `topRows` /m);
    // Each is held to all laws of its kind, so that the packages' lists of what is tried need no entry for it.
    expect(text).toContain('describeRuleLaws(heavyBall,');
    expect(text).toContain('describeRuleLaws(clippedGradient,');
    expect(text).toContain('describeProjectorLaws(topRows,');
    expect(text).toContain('describeCombineLaws(wholeResidual,');
    expect(text).toMatch(/^\| `wholeResidual` /m);
    expect(text).toMatch(/^\| `someColumns` .*\| `density` \.25, /m);
    expect(text).toContain("register('combine', 'wholeResidual'");
    expect(text).toContain('  someColumns: SOME_COLUMNS_OPTIONS,');
    expect(text).toMatch(/^ {2}someColumns,$/m);
    expect(text).toContain("import { SOME_COLUMNS_OPTIONS } from './options.js'");
    expect(text).toContain("from './settings.js'");
    expect(text).not.toMatch(/from '[^']*packages\//);
  });

  it('writes code that compiles', async () => {
    const config = join(copy, 'tsconfig.json');
    const files = written.filter(file => file.endsWith('.ts')).map(file => join(copy, file));
    writeFileSync(config, JSON.stringify({ extends: join(root, 'tsconfig.tests.json'), include: [], files }));
    const printed = await output(
      [join(root, 'node_modules/typescript/bin/tsc'), '-p', config, '--pretty', 'false'],
      copy,
    );
    const errors = printed.split('\n').filter(line => written.some(file => line.startsWith(`${file}(`)));
    expect(errors).toEqual([]);
  });

  it('writes tests that pass', async () => {
    const report = join(copy, 'report.json');
    const options = [
      '--config',
      join(root, 'vitest.config.ts'),
      '--root',
      copy,
      '--reporter=json',
      `--outputFile=${report}`,
    ];
    const printed = await output([join(root, 'node_modules/vitest/vitest.mjs'), 'run', ...options], copy);
    expect(existsSync(report), printed).toBe(true);
    const { numPassedTests, testResults } = JSON.parse(readFileSync(report, 'utf8'));
    const failed = testResults.filter(({ status }: { status: string }) => status !== 'passed');
    expect(failed).toEqual([]);
    // Laws on two backends, and what the tests add.
    expect(numPassedTests).toBeGreaterThan(80);
  });

  it('refuses a name that is taken, and writes nothing', () => {
    const before = readFileSync(join(copy, 'packages/state-full/src/index.ts'), 'utf8');
    expect(() => generate(copy, 'rule', 'lion')).toThrow(/lion exists, see packages\/state-full\/src\/lion\.ts/);
    expect(readFileSync(join(copy, 'packages/state-full/src/index.ts'), 'utf8')).toBe(before);
  });

  it.each(['HeavyBall', 'heavy_ball', '9lives', 'a--b', '../x', ''])('refuses the name %j', name => {
    expect(() => namesOf(name)).toThrow(/expected camelCase or kebab-case/);
  });
});

describe('insertions', () => {
  it('name a sub-path in its order, with its three conditions, unless a pattern covers it', () => {
    const manifest = { exports: { '.': {}, './a': {}, './c': {}, './package.json': './package.json' } };
    const { exports } = JSON.parse(insertSubPath(JSON.stringify(manifest), 'b-b')!);
    expect(Object.keys(exports)).toEqual(['.', './a', './b-b', './c', './package.json']);
    expect(Object.entries(exports['./b-b'])).toEqual([
      ['@frugaljs/source', './src/b-b.ts'],
      ['types', './dist/b-b.d.ts'],
      ['default', './dist/b-b.js'],
    ]);
    expect(Object.keys(JSON.parse(insertSubPath(JSON.stringify(manifest), 'd')!).exports)[3]).toBe('./d');
    expect(insertSubPath(JSON.stringify({ exports: { '.': {}, './*': {} } }), 'b')).toBeNull();
  });

  const index = "export { a } from './a.js';\nexport {\n  type C,\n  c,\n} from './c.js';\n";

  it.each([
    ['./b.js', 1],
    ['./0.js', 0],
    ['./d.js', 5],
  ])('put %s in the order of modules', (module, line) => {
    const lines = insertModuleStatement(index, 'export', 'NEW', module).split('\n');
    expect(lines.indexOf('NEW')).toBe(line);
  });

  it('add the last entry of a table', () => {
    const table =
      "interface E {}\nexport const ALL: readonly E[] = [\n  { kind: 'a' },\n];\nexport const other = [];\n";
    expect(insertTableEntry(table, "{ kind: 'b' }")).toContain(
      "[\n  { kind: 'a' },\n  { kind: 'b' },\n];\nexport const other",
    );
    const record = table.replace('= [', '= {').replace('];', '};');
    expect(insertTableEntry(record, 'b: {}')).toContain("{ kind: 'a' },\n  b: {},\n};\n");
    expect(insertTableEntry(`${table}const MINE = {\n  a,\n};\n`, 'b', 'MINE')).toContain(
      'const MINE = {\n  a,\n  b,\n};\n',
    );
    expect(() => insertTableEntry('export {};', 'x')).toThrow(/no table that is exported/);
    expect(() => insertTableEntry(table, 'x', 'MINE')).toThrow(/no table MINE/);
  });

  it('add rows to the table of primitives and to that of options, by column title', () => {
    const readme = `# P

| setting | x |
| ------- | - |
| a       | b |

| rule | state | paper      |
| ---- | ----: | ---------- |
| \`a\`  | 4     | p          |

| rule | option | default |
| ---- | ------ | ------- |
| \`a\`  | \`x\`    | 1       |

| rule | milliseconds |
| ---- | ------------ |
| \`a\`  | 12           |
`;
    const cells: [RegExp, string][] = [
      [/paper/, 'unpublished'],
      [/state/, '8'],
      [/option/, '`y`'],
      [/default/, '2'],
    ];
    const expected = readme
      .replace('| p          |\n', '| p          |\n| `b`  | 8     | unpublished |\n')
      .replace('| `x`    | 1       |\n', '| `x`    | 1       |\n| `b`  | `y`    | 2       |\n');
    expect(insertReadmeRows(readme, 'b', cells)).toBe(expected);
    expect(insertReadmeRows('# P\n', 'b', cells)).toBeNull();
  });
});

it('the command explains itself', async () => {
  const command = fileURLToPath(new URL('../new.mjs', import.meta.url));
  expect(await output([command, 'rule'], tmpdir())).toMatch(/^Usage: /);
});
