// What somebody does with installed packages, in each way in which programs are written and built.
import { execFile } from 'node:child_process';
import { cpSync, mkdirSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { nodeResolve } from '@rollup/plugin-node-resolve';
import { build as esbuild } from 'esbuild';
import { rollup } from 'rollup';
import { build as vite } from 'vite';
import webpack from 'webpack';

const run = promisify(execFile);

/** Trains with the parts, each from its own package, and prints how often the loss fell. */
const training = `
import '@frugaljs/backend-wasm';
import '@tensorflow/tfjs-layers';
import { compose, residual, subspace } from '@frugaljs/composer';
import { rows } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free/sign-sgd';
import { adamW } from '@frugaljs/state-full/adam-w';
import * as tf from '@tensorflow/tfjs-core';

await tf.setBackend('wasm');
const weight = tf.variable(tf.randomNormal([8, 16], 0, 1, 'float32', 1), true, 'weight');
const use = subspace({ projector: rows({ density: 0.25 }), rule: adamW(), combine: residual(signSgd()) });
const optimizer = compose({ learningRate: 1e-2, groups: [{ use }] });
const loss = () => tf.mean(tf.square(weight));
const values = [];
for (let i = 0; i < 5; i++) values.push(optimizer.minimize(loss, true).dataSync()[0]);
console.log(values.filter((value, i) => i > 0 && value < values[i - 1]).length);
`;
const expected = '4';

/** The same in one import, checked by the compiler. */
const typed = `
import { adamW, compose, residual, rows, signSgd, subspace, tf, type Rule } from 'frugaljs';
import { lion, type LionOptions } from '@frugaljs/state-full/lion';

const options: LionOptions = { beta1: 0.9 };
const rule: Rule = subspace({ projector: rows({ density: 0.25 }), rule: adamW(), combine: residual(signSgd()) });
const optimizer: tf.Optimizer = compose({ learningRate: 1e-3, groups: [{ match: /norm/, use: lion(options) }, { use: rule }] });
// @ts-expect-error a density is a number
rows({ density: 'a quarter' });
export const rate: number = compose({ learningRate: 1e-3, groups: [{ use: rule }] }).memoryReport([]).totalStateBytes;
export { optimizer };
`;

/** @typedef {(folder: string, entries: readonly string[]) => Promise<void>} Program throws if anything is wrong */

const external = [/^@tensorflow\//];

/**
 * Programs by the name under which they are reported. Each gets the folder and all module specifiers that can be imported.
 *
 * @type {Record<string, Program>}
 */
export const programs = {
  'import of every entry': async (folder, entries) => {
    await execute(folder, 'all.mjs', entries.map(entry => `await import('${entry}');`).join('\n'));
  },
  'require of every entry': async (folder, entries) => {
    // A module that waits at its top level (for a device) can only be imported; Node says so itself.
    const guarded = entries.map(
      entry => `try { require('${entry}'); } catch (e) { if (e.code !== 'ERR_REQUIRE_ASYNC_MODULE') throw e; }`,
    );
    await execute(folder, 'all.cjs', guarded.join('\n'));
    await execute(folder, 'one.cjs', "const { compose, tf } = require('frugaljs'); if (!compose || !tf) throw 0;");
  },
  'training in Node': async folder => {
    expectTraining(await execute(folder, 'train.mjs', training));
  },
  'TypeScript, moduleResolution bundler': (folder, entries) => compile(folder, entries, 'ESNext', 'bundler'),
  'TypeScript, moduleResolution nodenext': (folder, entries) => compile(folder, entries, 'NodeNext', 'nodenext'),
  'TypeScript, CommonJS in nodenext': async folder => {
    const text =
      "import frugal = require('frugaljs');\nexport const optimizer = frugal.frugal({ learningRate: 1e-3 });\n";
    await typeCheck(folder, 'common.cts', text, ['--module', 'NodeNext', '--moduleResolution', 'nodenext']);
  },
  esbuild: async folder => {
    const outfile = join(folder, 'out/esbuild.mjs');
    const common = /** @type {const} */ ({ bundle: true, format: 'esm', logLevel: 'silent' });
    await esbuild({ ...common, entryPoints: [source(folder)], external: ['@tensorflow/*'], outfile, platform: 'node' });
    expectTraining(await execute(folder, 'out/esbuild.mjs'));
    // For a page, with tfjs in it; what tfjs asks of Node it does not use there.
    const aside = ['fs', 'path', 'crypto', 'worker_threads', 'perf_hooks', 'os', 'util', 'string_decoder'];
    await esbuild({ ...common, entryPoints: [source(folder)], external: aside, write: false, platform: 'browser' });
  },
  rollup: async folder => {
    const bundle = await rollup({ input: source(folder), external, plugins: [nodeResolve()], onwarn: refuse });
    await bundle.write({ file: join(folder, 'out/rollup.mjs'), format: 'es' });
    await bundle.close();
    expectTraining(await execute(folder, 'out/rollup.mjs'));
  },
  webpack: async folder => {
    const compiler = webpack({
      mode: 'production',
      target: 'node20',
      entry: source(folder),
      context: folder,
      experiments: { outputModule: true },
      externalsType: 'module',
      externals: external,
      output: { path: join(folder, 'out'), filename: 'webpack.mjs', module: true, chunkFormat: 'module' },
    });
    const stats = await promisify(compiler.run.bind(compiler))();
    await promisify(compiler.close.bind(compiler))();
    if (stats?.hasErrors() || stats?.hasWarnings())
      throw new Error(stats.toString({ all: false, errors: true, warnings: true }));
    expectTraining(await execute(folder, 'out/webpack.mjs'));
  },
  vite: async folder => {
    /** @type {import('vite').LibraryOptions} */
    const lib = { entry: source(folder), formats: ['es'], fileName: () => 'vite.mjs' };
    const build = { outDir: 'out', emptyOutDir: false, target: 'es2022', lib, rollupOptions: { external } };
    await vite({ configFile: false, logLevel: 'error', root: folder, build });
    expectTraining(await execute(folder, 'out/vite.mjs'));
  },
  'the examples, copied': async folder => {
    const examples = join(folder, 'examples');
    const source = fileURLToPath(new URL('../../examples', import.meta.url));
    cpSync(source, examples, { recursive: true, filter: path => !/^(node_modules|dist|test)$/.test(basename(path)) });
    for (const example of ['autoencoder', 'cnn', 'custom-loop', 'gan', 'text-lstm', 'transfer-learning']) {
      const output = await execute(join(examples, example), 'main.js', undefined, ['--steps', '3']);
      if (!/^optimizer .*\n.* 100 %\n.* %\n.* %$/m.test(output)) throw new Error(`${example} printed\n${output}`);
    }
    await vite({ root: join(examples, 'vite-page'), logLevel: 'error' });
  },
};

/** @param {{ message: string }} warning */
function refuse({ message }) {
  throw new Error(message);
}

/** @param {string} folder */
function source(folder) {
  const file = join(folder, 'program.mjs');
  writeFileSync(file, training);
  return file;
}

/** @param {string} output */
function expectTraining(output) {
  const last = output.trim().split('\n').at(-1);
  if (last !== expected)
    throw new Error(`the loss should have fallen ${expected} times; the program printed\n${output}`);
}

/**
 * @param {string} folder
 * @param {string} file
 * @param {string} [text] none: it is there already
 * @param {readonly string[]} [args]
 */
async function execute(folder, file, text, args = []) {
  if (text !== undefined) writeFileSync(join(folder, file), text);
  const { NODE_OPTIONS: _, ...env } = process.env;
  const { stdout } = await run(process.execPath, [file, ...args], { cwd: folder, env, timeout: 120_000 });
  return stdout;
}

/**
 * @param {string} folder
 * @param {readonly string[]} entries
 * @param {string} module
 * @param {string} moduleResolution
 */
async function compile(folder, entries, module, moduleResolution) {
  const all = entries
    .map((entry, index) => `import * as entry${index} from '${entry}';\nvoid entry${index};`)
    .join('\n');
  await typeCheck(folder, 'typed.ts', `${typed}${all}\n`, ['--module', module, '--moduleResolution', moduleResolution]);
}

/**
 * @param {string} folder
 * @param {string} file
 * @param {string} text
 * @param {readonly string[]} options
 */
async function typeCheck(folder, file, text, options) {
  mkdirSync(join(folder, 'out'), { recursive: true });
  writeFileSync(join(folder, file), text);
  const compiler = join(folder, 'node_modules/typescript/bin/tsc');
  // tfjs-core pins an old @webgpu/types, which the compiler's own declarations contradict.
  const strict = [
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    '--target',
    'es2022',
    '--types',
    'node',
    '--pretty',
    'false',
  ];
  await run(process.execPath, [compiler, ...strict, ...options, file], { cwd: folder }).catch(({ stdout, stderr }) => {
    throw new Error(`${stdout}${stderr}`.trim());
  });
}
