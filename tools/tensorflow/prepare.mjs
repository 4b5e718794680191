// Builds @tensorflow/tfjs-node over the TensorFlow of a Python wheel, for the tests of backend-node on machines where the
// plain installation cannot download its own: node tools/tensorflow/prepare.mjs [2.9.1 | 2.21.0]
//
// Everything comes from the registries of npm and PyPI. 2.9.1, which is what the plain installation downloads, is the
// default and ends in .cache/tensorflow, where backend-node looks for it; 2.21.0 ends in .cache/tensorflow-2.21.0, for the
// environment variable FRUGAL_TENSORFLOW. What is there and works is left as it is. Needs Linux on x86-64, Python with pip,
// a C++ compiler and make. Exits with 1 and a line that says why when something is missing. Nobody who has installed
// tfjs-node or tfjs-node-gpu needs it.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { CannotPrepare, run } from './run.mjs';
import { BUILDS, placeLibraries, unpackWheel } from './wheel.mjs';

const TFJS_NODE = '4.22.0';
/** Packages of which the project has its own copy; a second one would not know the first one's tensors. */
const SHARED = ['tfjs-core', 'tfjs-layers', 'tfjs-backend-cpu'];

/** One step of Adam on a resource variable: from 1 by the learning rate 0.5, against a gradient of 2. */
const PROGRAM = `
const tf = require('@tensorflow/tfjs-node');
const { binding } = tf.backend();
const type = (name) => ({ name, type: binding.TF_ATTR_TYPE, value: binding.TF_FLOAT });
const run = (name, attributes, inputs, outputs) => binding.executeOp(name, attributes, inputs, outputs).map(({ id }) => id);
const number = (value) => binding.createTensor([], binding.TF_FLOAT, Float32Array.of(value));
const variable = (name, value) => {
  const shape = { name: 'shape', type: binding.TF_ATTR_SHAPE, value: [] };
  const shared = { name: 'shared_name', type: binding.TF_ATTR_STRING, value: name };
  const container = { name: 'container', type: binding.TF_ATTR_STRING, value: '' };
  const [handle] = run('VarHandleOp', [type('dtype'), shape, shared, container], [], 1);
  run('AssignVariableOp', [type('dtype')], [handle, number(value)], 0);
  return handle;
};
const w = variable('w', 1);
const numbers = [0, 0, 0.5, 0, 0, 1e-8, 2].map(number);
run('ResourceApplyAdam', [type('T')], [w, variable('m', 0), variable('v', 0), ...numbers], 0);
const [read] = run('ReadVariableOp', [type('dtype')], [w], 1);
const [value] = binding.tensorDataSync(read);
if (!binding.TF_Version.startsWith(process.argv[1])) throw new Error('TensorFlow is ' + binding.TF_Version);
if (Math.abs(value - 0.5) > 1e-6) throw new Error('Adam went from 1 to ' + value + ', expected 0.5');
`;

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

/** @param {import('./wheel.mjs').Build} build */
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

/**
 * The folder under which this Node has its headers, include/node/node.h. They are never downloaded.
 *
 * @returns {string}
 * @throws {CannotPrepare} when it has none
 */
function findHeaders() {
  const configured = process.env.npm_config_nodedir;
  const folders = [configured, dirname(dirname(process.execPath)), '/usr', '/usr/local'];
  for (const folder of folders) {
    if (folder && existsSync(join(folder, 'include', 'node', 'node.h'))) return folder;
  }
  throw new CannotPrepare(
    `no headers of Node beside ${process.execPath}; the archives of nodejs.org have them, npm_config_nodedir names others`,
  );
}

/**
 * Tries the tfjs-node in a folder, in a process of its own.
 *
 * @param {string} folder
 * @param {string} version of TensorFlow that is expected
 * @returns {string | null} what is wrong with it; `null` when it works
 */
function selfTest(folder, version) {
  const { status, stderr, error } = spawnSync(process.execPath, ['-e', PROGRAM, version], {
    cwd: join(folder, 'node_modules'),
    encoding: 'utf8',
    env: { ...process.env, TF_CPP_MIN_LOG_LEVEL: '3' },
  });
  if (status === 0) return null;
  const reason = stderr.split('\n').find(line => /Error/.test(line));
  return (reason ?? error?.message ?? stderr.slice(-200)).trim();
}

/** @param {string} path */
function show(path) {
  return relative(root, path);
}
