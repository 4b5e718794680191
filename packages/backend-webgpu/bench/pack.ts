// Packs large.ts with everything it needs into a folder, for a machine with a GPU and Node but without this repository.
//
//   node --conditions=@frugaljs/source --import tsx packages/backend-webgpu/bench/pack.ts FOLDER
//   … copy the folder …
//   node FOLDER/large.mjs --params 1e8
import { cpSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const target = process.argv[2];
if (target === undefined) {
  console.error('usage: pack.ts FOLDER');
  process.exit(2);
}

interface Bundler {
  build(options: Readonly<Record<string, unknown>>): Promise<unknown>;
}

const here = createRequire(import.meta.url);
// tsx, which runs this file, brings esbuild along.
const { build } = createRequire(here.resolve('tsx'))('esbuild') as Bundler;
mkdirSync(target, { recursive: true });
await build({
  entryPoints: [fileURLToPath(new URL('large.ts', import.meta.url))],
  outfile: join(target, 'large.mjs'),
  bundle: true,
  platform: 'node',
  format: 'esm',
  conditions: ['@frugaljs/source'],
  mainFields: ['module', 'main'],
  external: ['webgpu'],
  // tfjs asks for modules of Node by require().
  banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
  logLevel: 'warning',
});
const dawn = dirname(here.resolve('webgpu'));
const platform = `${process.platform}-${process.arch}`;
for (const part of ['package.json', 'index.js', join('dist', platform)]) {
  cpSync(join(dawn, part), join(target, 'node_modules', 'webgpu', part), { recursive: true });
}
console.log(`${target}: node ${join(target, 'large.mjs')} --params 1e8   (for ${platform})`);
