import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { CannotPrepare, run } from './run.mjs';

/**
 * A TensorFlow that the addon can be built over.
 *
 * @typedef {object} Build
 * @property {string} version of tensorflow-cpu on PyPI
 * @property {string} python the Python that one of its wheels is for; it is unpacked, not installed, so that any will do
 * @property {string} platform the system that the wheel is for
 * @property {string} library the file with the C interface, in the folder of the package
 * @property {string} size to download, and unpacked
 * @property {string} folder where it is prepared, below the root of the project
 */

const FRAMEWORK = 'libtensorflow_framework.so.2';

/** @type {readonly Build[]} */
export const BUILDS = [
  {
    // What tfjs-node 4.22 and tfjs-node-gpu 4.22 download.
    version: '2.9.1',
    python: '3.10',
    platform: 'manylinux2014_x86_64',
    library: join('python', '_pywrap_tensorflow_internal.so'),
    size: '210 MB, 0.5 GB unpacked',
    folder: join('.cache', 'tensorflow'),
  },
  {
    version: '2.21.0',
    python: '3.11',
    platform: 'manylinux_2_27_x86_64',
    library: 'libtensorflow_cc.so.2',
    size: '260 MB, 0.9 GB unpacked',
    folder: join('.cache', 'tensorflow-2.21.0'),
  },
];

/** Of the archive only the libraries and the headers of the C interface are needed. */
const UNPACK = `
import sys, zipfile
archive, target, *libraries = sys.argv[1:]
with zipfile.ZipFile(archive) as wheel:
    folders = tuple('tensorflow/include/' + name + '/' for name in ('tensorflow', 'tsl', 'xla'))
    wanted = lambda name: name.startswith(folders) or name in libraries
    wheel.extractall(target, [name for name in wheel.namelist() if wanted(name)])
`;

/**
 * Downloads the wheel of a build and unpacks what is needed of it.
 *
 * @param {string} folder
 * @param {Build} build
 * @returns {string} the folder `tensorflow` of the wheel
 */
export function unpackWheel(folder, { version, python, platform, library, size }) {
  const target = join(folder, 'wheel');
  const unpacked = join(target, 'tensorflow');
  const libraries = [library, FRAMEWORK];
  if (libraries.every(file => existsSync(join(unpacked, file)))) return unpacked;
  const interpreter = findPython();
  const downloads = join(folder, 'download');
  rmSync(target, { recursive: true, force: true });
  rmSync(downloads, { recursive: true, force: true });
  mkdirSync(downloads, { recursive: true });
  console.log(`Downloading tensorflow-cpu ${version} from PyPI with ${interpreter} (${size})`);
  const wanted = ['--python-version', python, '--implementation', 'cp', '--platform', platform];
  const options = ['--no-deps', '--only-binary=:all:', ...wanted, '--disable-pip-version-check', '--quiet'];
  run(interpreter, ['-m', 'pip', 'download', ...options, '-d', downloads, `tensorflow-cpu==${version}`]);
  const file = readdirSync(downloads).find(name => name.endsWith('.whl'));
  if (file === undefined) throw new CannotPrepare(`pip left no wheel in ${downloads}`);
  const members = libraries.map(name => `tensorflow/${name}`);
  run(interpreter, ['-c', UNPACK, join(downloads, file), target, ...members]);
  rmSync(downloads, { recursive: true });
  return unpacked;
}

/** A Python that has pip. */
function findPython() {
  const failures = [];
  for (const python of [process.env.FRUGAL_PYTHON, 'python3', 'python']) {
    if (!python) continue;
    try {
      run(python, ['-m', 'pip', '--version']);
      return python;
    } catch (error) {
      failures.push(error instanceof Error ? error.message.split('\n')[0] : String(error));
    }
  }
  throw new CannotPrepare(`no Python with pip (${failures.join('; ')}); FRUGAL_PYTHON names another`);
}

const PYTHON_NAMES = 'libpython-names.so';

/**
 * Puts the libraries of a wheel where the addon is linked with them and loads them from.
 *
 * @param {string} deps the folder of the addon's dependencies, made anew
 * @param {string} tensorflow the unpacked folder of the Python package
 * @param {string} library the one with the C interface, in that folder
 */
export function placeLibraries(deps, tensorflow, library) {
  const folder = join(deps, 'lib');
  rmSync(deps, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  symlinkSync(join(tensorflow, 'include'), join(deps, 'include'));
  symlinkSync(join(tensorflow, FRAMEWORK), join(folder, FRAMEWORK));
  symlinkSync(FRAMEWORK, join(folder, 'libtensorflow_framework.so'));
  const file = basename(library);
  symlinkSync(join(tensorflow, library), join(folder, file));
  const names = pythonNames(join(folder, file));
  if (names.length === 0) {
    symlinkSync(file, join(folder, 'libtensorflow.so'));
    return;
  }
  // Before 2.12 the wheel has one library for the C interface and for Python, which cannot be loaded without the names of
  // Python's functions. The addon never gets to where they are called.
  const source = join(deps, 'python-names.c');
  writeFileSync(source, names.map(name => `char ${name}[256];\n`).join(''));
  const options = ['-shared', '-fPIC', `-Wl,-soname,${PYTHON_NAMES}`];
  run(process.env.CC || 'cc', [...options, '-o', join(folder, PYTHON_NAMES), source]);
  // Read by the linker in the place of a library.
  writeFileSync(join(folder, 'libtensorflow.so'), `INPUT(${file} ${PYTHON_NAMES})\n`);
}

/**
 * The names of Python that a library expects from elsewhere.
 *
 * @param {string} library
 */
function pythonNames(library) {
  const lines = run('nm', ['--dynamic', '--undefined-only', library]).split('\n');
  const names = lines.map(line => line.trim().split(/\s+/).at(-1)?.split('@')[0] ?? '');
  return [...new Set(names.filter(name => /^_?Py/.test(name)))].sort();
}
