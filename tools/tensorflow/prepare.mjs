// Builds @tensorflow/tfjs-node over the TensorFlow of a Python wheel, for the tests of backend-node on machines where the
// plain installation cannot download its own: node tools/tensorflow/prepare.mjs
//
// Everything comes from the registries of npm and PyPI and ends in .cache/tensorflow, where backend-node looks for it.
// What is there and works is left as it is. Needs Linux on x86-64, Python with pip, a C++ compiler and make. Exits with 1
// and a line that says why when something is missing. Nobody who has installed tfjs-node or tfjs-node-gpu needs it.

import { existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findHeaders } from './headers.mjs';
import { CannotPrepare, run } from './run.mjs';
import { selfTest } from './self-test.mjs';
import { unpackWheel, WHEEL } from './wheel.mjs';

const TFJS_NODE = '4.22.0';
/** Packages of which the project has its own copy; a second one would not know the first one's tensors. */
const SHARED = ['tfjs-core', 'tfjs-layers', 'tfjs-backend-cpu'];

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const folder = join(root, '.cache', 'tensorflow');
const addon = join(folder, 'node_modules', '@tensorflow', 'tfjs-node');

try {
  prepare();
} catch (error) {
  if (!(error instanceof CannotPrepare)) throw error;
  console.log(`Not prepared: ${error.message}`);
  process.exitCode = 1;
}

function prepare() {
  if (existsSync(addon) && selfTest(folder) === null) {
    console.log(`${show(addon)} is there and works.`);
    return;
  }
  requireMachine();
  const headers = findHeaders();
  mkdirSync(folder, { recursive: true });
  installPackage();
  const python = unpackWheel(folder);
  linkLibraries(python);
  build(headers);
  const failure = selfTest(folder);
  if (failure !== null) throw new CannotPrepare(`what was built does not work: ${failure}`);
  console.log(`Ready: tfjs-node ${TFJS_NODE} on ${WHEEL} in ${show(folder)}`);
}

function requireMachine() {
  const major = Number.parseInt(process.versions.node, 10);
  if (major >= 23) throw new CannotPrepare(`tfjs-node does not run on Node ${process.versions.node}, only below 23`);
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new CannotPrepare(`the wheel is for Linux on x86-64, this is ${process.platform} on ${process.arch}`);
  }
}

function installPackage() {
  console.log(`Installing @tensorflow/tfjs-node ${TFJS_NODE} without its scripts into ${show(folder)}`);
  const manifest = { private: true, dependencies: { '@tensorflow/tfjs-node': TFJS_NODE } };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  run('npm', ['install', '--ignore-scripts', '--no-package-lock', '--no-audit', '--no-fund'], { cwd: folder });
  for (const name of SHARED) {
    if (!existsSync(join(root, 'node_modules', '@tensorflow', name))) continue;
    rmSync(join(folder, 'node_modules', '@tensorflow', name), { recursive: true, force: true });
  }
}

/** @param {string} tensorflow the unpacked folder of the Python package */
function linkLibraries(tensorflow) {
  const deps = join(addon, 'deps');
  rmSync(deps, { recursive: true, force: true });
  mkdirSync(join(deps, 'lib'), { recursive: true });
  symlinkSync(join(tensorflow, 'include'), join(deps, 'include'));
  // By the names that the addon is linked with, and by those under which it loads them.
  for (const [library, names] of /** @type {const} */ ([
    ['libtensorflow_cc.so.2', ['libtensorflow_cc.so.2', 'libtensorflow.so']],
    ['libtensorflow_framework.so.2', ['libtensorflow_framework.so.2', 'libtensorflow_framework.so']],
  ])) {
    for (const name of names) symlinkSync(join(tensorflow, library), join(deps, 'lib', name));
  }
}

/** @param {string} headers a folder with include/node/node.h */
function build(headers) {
  console.log(`Building the addon with the headers of Node in ${headers}`);
  run('npm', ['run', 'build-addon-from-source'], {
    cwd: addon,
    env: { ...process.env, npm_config_nodedir: headers, JOBS: '1' },
  });
}

/** @param {string} path */
function show(path) {
  return relative(root, path);
}
