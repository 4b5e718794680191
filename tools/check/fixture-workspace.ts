import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { temporaryFolder } from '../test-support/folders.js';
import { openWorkspace, type Workspace } from './workspace.mjs';

/** A workspace on disk with these files, removed when the test ends. Objects are written as JSON. */
export function fixtureWorkspace(files: Record<string, string | object>): Workspace {
  const root = temporaryFolder();
  for (const [file, content] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), typeof content === 'string' ? content : JSON.stringify(content));
  }
  return openWorkspace(root);
}

/** What the root's package.json must hold for {@link fixturePackage}. */
export const fixtureRoot = {
  engines: { node: '>=20' },
  bugs: 'https://example.org/fixture/issues',
  repository: { type: 'git', url: 'git+https://example.org/fixture.git' },
};

/** package.json and tsconfig.json of a package that passes every check, with what the test wants different. */
export function fixturePackage(short: string, changes: object = {}): Record<string, object> {
  const manifest = {
    name: `@frugaljs/${short}`,
    version: '0.1.0',
    description: 'for a test',
    license: 'Apache-2.0',
    homepage: `https://example.org/fixture/tree/main/packages/${short}#readme`,
    bugs: fixtureRoot.bugs,
    repository: { ...fixtureRoot.repository, directory: `packages/${short}` },
    type: 'module',
    exports: { '.': { '@frugaljs/source': './src/index.ts', default: './dist/index.js' } },
    engines: { node: '>=20' },
    files: ['dist', '!dist/.tsbuildinfo', 'src', 'README.md', 'LICENSE'],
    peerDependencies: { '@tensorflow/tfjs-core': '^4.22.0' },
    ...changes,
  };
  const dependencies: Record<string, string> = 'dependencies' in manifest ? (manifest.dependencies as never) : {};
  const references = Object.keys(dependencies)
    .filter(name => name.startsWith('@frugaljs/'))
    .map(name => ({ path: name.replace('@frugaljs/', '../') }));
  return { [`packages/${short}/package.json`]: manifest, [`packages/${short}/tsconfig.json`]: { references } };
}
