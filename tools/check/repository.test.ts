import { describe, expect, it } from 'vitest';
import { checkFileNames } from './file-names.mjs';
import { fixturePackage, fixtureRoot, fixtureWorkspace } from './fixture-workspace.js';
import { checkLockfile } from './lockfile.mjs';
import { checkManifests } from './manifests.mjs';
import { checkPortability } from './portability.mjs';
import { checkVersions } from './versions.mjs';

describe('file names', () => {
  it.each(['packages/core/src/utils.ts', 'packages/core/src/helpers/a.ts', 'tools/misc.mjs', 'packages/common/a.ts'])(
    'refuse %s',
    file => {
      const { failures } = checkFileNames(fixtureWorkspace({ ...fixturePackage('core'), [file]: '' }));
      expect(failures).toEqual([expect.stringContaining(`${file}: name the file`)]);
    },
  );

  it('accept names that merely contain such a word, and warn about long files', () => {
    const { failures, warnings } = checkFileNames(
      fixtureWorkspace({
        ...fixturePackage('core'),
        'packages/core/src/common-divisor.ts': 'line\n'.repeat(451),
        'packages/core/src/short.ts': 'line\n'.repeat(450),
      }),
    );
    expect(failures).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining('common-divisor.ts: 451 lines')]);
  });
});

describe('manifests', () => {
  const readme =
    "# @frugaljs/core\n\n```sh\nnpm install @frugaljs/core\n```\n\n```ts\nimport {} from '@frugaljs/core';\n```\n";
  const good = {
    'package.json': fixtureRoot,
    'tsconfig.json': { references: [{ path: 'packages/core' }] },
    LICENSE: 'terms',
    ...fixturePackage('core'),
    'packages/core/LICENSE': 'terms',
    'packages/core/README.md': readme,
  };

  it('accept a complete package', () => {
    expect(checkManifests(fixtureWorkspace(good)).failures).toEqual([]);
  });

  it.each<[string, Record<string, string | object>]>([
    ['description is missing', fixturePackage('core', { description: undefined })],
    ["'private' must be absent", fixturePackage('core', { private: false })],
    ['engines.node is >=22', fixturePackage('core', { engines: { node: '>=22' } })],
    [
      'peerDependencies lack @tensorflow/tfjs-core',
      {
        ...fixturePackage('core', { peerDependencies: {} }),
        'packages/core/src/index.ts': "import { add } from '@tensorflow/tfjs-core';",
      },
    ],
    ['repository must be', fixturePackage('core', { repository: { type: 'git', url: 'git+https://other.org/x.git' } })],
    ['homepage must be', fixturePackage('core', { homepage: 'https://example.org' })],
    ['bugs must be', fixturePackage('core', { bugs: undefined })],
    ['files lack !dist/.tsbuildinfo', fixturePackage('core', { files: ['dist', 'src', 'README.md', 'LICENSE'] })],
    ['must be a copy', { 'packages/core/LICENSE': 'other terms' }],
    ['must start with a title', { 'packages/core/README.md': readme.slice(2) }],
    ['lacks an install line', { 'packages/core/README.md': readme.replace('install', 'get') }],
    ['lacks an example code block', { 'packages/core/README.md': readme.replace("from '@frugaljs/core'", '') }],
    ['references lack packages/core', { 'tsconfig.json': { references: [] } }],
  ])('refuse: %s', (message, changes) => {
    const { failures } = checkManifests(fixtureWorkspace({ ...good, ...changes }));
    expect(failures).toEqual([expect.stringContaining(message)]);
  });
});

describe('manifests of examples', () => {
  const manifest = {
    private: true,
    description: 'for a test',
    type: 'module',
    engines: { node: '>=20' },
    scripts: { start: 'node main.js' },
    dependencies: { '@frugaljs/core': '^0.1.0' },
  };
  const readme = '# One\n\n```sh\nnpm start\n```\n\n```text\noptimizer  loss\n```\n';
  const files = {
    'package.json': fixtureRoot,
    'tsconfig.json': { references: [{ path: 'packages/core' }] },
    LICENSE: 'terms',
    ...fixturePackage('core'),
    'packages/core/LICENSE': 'terms',
    'packages/core/README.md':
      "# @frugaljs/core\n\n```sh\nnpm install @frugaljs/core\n```\n\n```ts\nimport {} from '@frugaljs/core';\n```\n",
    'examples/README.md': '[one](one/README.md)',
    'examples/one/README.md': readme,
    'examples/one/package.json': manifest,
  };

  it('accept one that can be copied and run', () => {
    expect(checkManifests(fixtureWorkspace(files)).failures).toEqual([]);
  });

  it.each<[string, string, string | object]>([
    ['private must be true', 'examples/one/package.json', { ...manifest, private: undefined }],
    ['version must be absent', 'examples/one/package.json', { ...manifest, version: '0.1.0' }],
    ['type is undefined', 'examples/one/package.json', { ...manifest, type: undefined }],
    ['description is missing', 'examples/one/package.json', { ...manifest, description: undefined }],
    ['scripts lack start', 'examples/one/package.json', { ...manifest, scripts: {} }],
    ['engines.node is >=22', 'examples/one/package.json', { ...manifest, engines: { node: '>=22' } }],
    [
      'asks for @frugaljs/core ^0.0.9, expected ^0.1.0',
      'examples/one/package.json',
      { ...manifest, dependencies: { '@frugaljs/core': '^0.0.9' } },
    ],
    ['must start with a title', 'examples/one/README.md', readme.slice(2)],
    ["lacks a code block with 'npm start'", 'examples/one/README.md', readme.replace('npm start', 'node main.js')],
    ['lacks a text block', 'examples/one/README.md', readme.replace('optimizer', 'rule')],
    ['lacks a link to examples/one', 'examples/README.md', 'none'],
  ])('refuse: %s', (message, file, content) => {
    const { failures } = checkManifests(fixtureWorkspace({ ...files, [file]: content }));
    expect(failures).toEqual([expect.stringContaining(message)]);
  });
});

describe('versions', () => {
  const dependent = (range: string) => fixturePackage('state-full', { dependencies: { '@frugaljs/core': range } });

  it('accept packages of one version that name each other exactly', () => {
    expect(checkVersions(fixtureWorkspace({ ...fixturePackage('core'), ...dependent('0.1.0') })).failures).toEqual([]);
  });

  it.each<[string, Record<string, object>]>([
    ['want @frugaljs/core ^0.1.0, expected exactly 0.1.0', dependent('^0.1.0')],
    [
      'state-full/package.json: version is 0.2.0, packages/core has 0.1.0',
      fixturePackage('state-full', { version: '0.2.0' }),
    ],
  ])('refuse: %s', (message, changes) => {
    const { failures } = checkVersions(fixtureWorkspace({ ...fixturePackage('core'), ...changes }));
    expect(failures).toEqual([expect.stringContaining(message)]);
  });
});

describe('manifests of applications', () => {
  const application = (changes: object = {}) =>
    fixturePackage('page', {
      private: true,
      scripts: { build: 'vite build' },
      exports: undefined,
      files: undefined,
      peerDependencies: undefined,
      dependencies: { '@tensorflow/tfjs-core': '^4.22.0' },
      ...changes,
    });
  const good = {
    'package.json': fixtureRoot,
    'tsconfig.json': { references: [{ path: 'packages/page' }] },
    LICENSE: 'terms',
    ...application(),
    'packages/page/README.md': '# The page\n\n```sh\nnpm run page\n```\n',
  };

  it('need neither exports, nor a license of their own, nor an install line', () => {
    expect(checkManifests(fixtureWorkspace(good)).failures).toEqual([]);
  });

  it.each<[string, Record<string, string | object>]>([
    ['exports says that it is for others', application({ exports: { '.': './dist/index.js' } })],
    ['files says that it is for others', application({ files: ['dist'] })],
    ['scripts lack build', application({ scripts: {} })],
    ['description is missing', application({ description: undefined })],
    ['must start with a title', { 'packages/page/README.md': '```sh\nnpm run page\n```\n' }],
    ['lacks a code block with the command', { 'packages/page/README.md': '# The page\n' }],
  ])('refuse: %s', (message, changes) => {
    const { failures } = checkManifests(fixtureWorkspace({ ...good, ...changes }));
    expect(failures).toEqual([expect.stringContaining(message)]);
  });

  it('refuse a library that was marked private', () => {
    const { failures } = checkManifests(
      fixtureWorkspace({ ...good, ...fixturePackage('page', { private: true, scripts: { build: 'tsc' } }) }),
    );
    expect(failures).toEqual(
      ['exports', 'files', 'peerDependencies'].map(field => expect.stringContaining(`${field} says that it is for`)),
    );
  });

  it('refuse: no README', () => {
    const { 'packages/page/README.md': _, ...rest } = good;
    expect(checkManifests(fixtureWorkspace(rest)).failures).toEqual(['packages/page/README.md: missing']);
  });
});

describe('portability', () => {
  // Put together here, so that this file passes the check that it tests.
  const home = ['', 'home', 'somebody', 'data'].join('/');
  const host = ['registry', 'example', 'org'].join('.');

  it.each([home, `cd ${home}`, `'${home}'`, `https://${host}/x`])('refuse %s', line => {
    const { failures } = checkPortability(fixtureWorkspace({ ...fixturePackage('core'), 'docs/a.md': `x\n${line}\n` }));
    expect(failures).toEqual([expect.stringContaining('docs/a.md:2: ')]);
  });

  it('refuse a lock file that is bound to a host, and accept its links to packages', () => {
    const lock = {
      packages: {
        'node_modules/a': { version: '1.0.0', resolved: 'https://example.org/a.tgz' },
        'node_modules/b': { resolved: 'packages/b', link: true },
      },
    };
    const { failures } = checkPortability(fixtureWorkspace({ ...fixturePackage('core'), 'package-lock.json': lock }));
    expect(failures).toEqual([expect.stringContaining('node_modules/a is bound to https://example.org')]);
  });

  it('accept relative paths and ordinary URLs', () => {
    const text = 'see ../home/x, https://example.org/home/x and registry.get(name).org';
    const { failures } = checkPortability(fixtureWorkspace({ ...fixturePackage('core'), 'docs/a.md': text }));
    expect(failures).toEqual([]);
  });
});

describe('lock file', () => {
  const lock = (entry: object) => ({
    packages: {
      'node_modules/binary': {
        version: '1.2.3',
        dev: true,
        optionalDependencies: { 'binary-linux-x64-musl': '1.2.3' },
      },
      'packages/core': { peerDependencies: { '@tensorflow/tfjs-core': '^4.22.0' } },
      ...entry,
    },
  });

  it('must describe every optional package and agree with each package.json', () => {
    const { failures } = checkLockfile(
      fixtureWorkspace({
        ...fixturePackage('core', { dependencies: { extra: '1.0.0' } }),
        'package-lock.json': lock({}),
      }),
    );
    expect(failures).toEqual([
      expect.stringContaining('lacks its optional package binary-linux-x64-musl'),
      expect.stringContaining('dependencies of packages/core differ'),
    ]);
  });

  it('passes when it does', () => {
    const complete = lock({ 'node_modules/binary-linux-x64-musl': { version: '1.2.3' } });
    const workspace = fixtureWorkspace({ ...fixturePackage('core'), 'package-lock.json': complete });
    expect(checkLockfile(workspace).failures).toEqual([]);
  });
});
