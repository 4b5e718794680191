// Builds @tensorflow/tfjs-node over the TensorFlow of a Python wheel, for the tests of backend-node on machines where the
// plain installation cannot download its own: node tools/tensorflow/prepare.mjs [2.9.1 | 2.21.0]
//
// Everything comes from the registries of npm and PyPI. 2.9.1, which is what the plain installation downloads, is the
// default and ends in .cache/tensorflow, where backend-node looks for it; 2.21.0 ends in .cache/tensorflow-2.21.0, for the
// environment variable FRUGAL_TENSORFLOW. What is there and works is left as it is. Needs Linux on x86-64, Python with pip,
// a C++ compiler and make. Exits with 1 and a line that says why when something is missing. Nobody who has installed
// tfjs-node or tfjs-node-gpu needs it.

import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BUILDS } from './builds.mjs';
import { findHeaders } from './headers.mjs';
import { placeLibraries } from './libraries.mjs';
import { CannotPrepare, run } from './run.mjs';
import { selfTest } from './self-test.mjs';
import { unpackWheel } from './wheel.mjs';

const TFJS_NODE = '4.22.0';
/** Packages of which the project has its own copy; a second one would not know the first one's tensors. */
const SHARED = ['tfjs-core', 'tfjs-layers', 'tfjs-backend-cpu'];

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

try {
  prepare(chosen());
} catch (error) {
  if (!(error instanceof CannotPrepare)) throw error;
  console.log(`Not prepared: ${error.message}`);
  process.exitCode = 1;
}

function chosen() {
  const [version = BUILDS[0]?.version] = process.argv.slice(2);
  const found = BUILDS.find(build => build.version === version);
  if (found !== undefined) return found;
  throw new CannotPrepare(`TensorFlow ${version} is not known, only ${BUILDS.map(build => build.version).join(', ')}`);
}

/** @param {import('./builds.mjs').Build} build */
function prepare(build) {
  const folder = join(root, build.folder);
  const addon = join(folder, 'node_modules', '@tensorflow', 'tfjs-node');
  if (existsSync(addon)) {
    if (selfTest(folder, build.version) === null) {
      console.log(`${show(addon)} is there and works.`);
      return;
    }
    rmSync(folder, { recursive: true });
  }
  requireMachine();
  const headers = findHeaders();
  mkdirSync(folder, { recursive: true });
  installPackage(folder);
  placeLibraries(join(addon, 'deps'), unpackWheel(folder, build), build.library);
  buildAddon(addon, headers);
  const failure = selfTest(folder, build.version);
  if (failure !== null) throw new CannotPrepare(`what was built does not work: ${failure}`);
  console.log(`Ready: tfjs-node ${TFJS_NODE} on tensorflow-cpu ${build.version} in ${show(folder)}`);
}

function requireMachine() {
  const major = Number.parseInt(process.versions.node, 10);
  if (major >= 23) throw new CannotPrepare(`tfjs-node does not run on Node ${process.versions.node}, only below 23`);
  if (process.platform !== 'linux' || process.arch !== 'x64') {
    throw new CannotPrepare(`the wheel is for Linux on x86-64, this is ${process.platform} on ${process.arch}`);
  }
}

/** @param {string} folder */
function installPackage(folder) {
  console.log(`Installing @tensorflow/tfjs-node ${TFJS_NODE} without its scripts into ${show(folder)}`);
  const manifest = { private: true, dependencies: { '@tensorflow/tfjs-node': TFJS_NODE } };
  writeFileSync(join(folder, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);
  run('npm', ['install', '--ignore-scripts', '--no-package-lock', '--no-audit', '--no-fund'], { cwd: folder });
  for (const name of SHARED) {
    if (!existsSync(join(root, 'node_modules', '@tensorflow', name))) continue;
    rmSync(join(folder, 'node_modules', '@tensorflow', name), { recursive: true, force: true });
  }
}

/**
 * @param {string} addon the folder of tfjs-node
 * @param {string} headers a folder with include/node/node.h
 */
function buildAddon(addon, headers) {
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
