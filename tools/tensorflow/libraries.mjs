import { mkdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { FRAMEWORK } from './builds.mjs';
import { run } from './run.mjs';

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
