import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { CannotPrepare, run } from './run.mjs';

const VERSION = '2.21.0';
export const WHEEL = `tensorflow-cpu ${VERSION}`;

/** It is unpacked, not installed: one for any Python will do. */
const BUILD = ['--python-version', '3.11', '--implementation', 'cp', '--platform', 'manylinux_2_27_x86_64'];

/** Of the archive only the libraries and the headers of the C interface are needed. */
const UNPACK = `
import sys, zipfile
with zipfile.ZipFile(sys.argv[1]) as wheel:
    folders = tuple('tensorflow/include/' + name + '/' for name in ('tensorflow', 'tsl', 'xla'))
    wanted = lambda name: name.startswith(folders) or name.startswith('tensorflow/libtensorflow')
    wheel.extractall(sys.argv[2], [name for name in wheel.namelist() if wanted(name)])
`;

/**
 * Downloads the wheel and unpacks what is needed of it.
 *
 * @param {string} folder
 * @returns {string} the folder `tensorflow` of the wheel
 */
export function unpackWheel(folder) {
  const target = join(folder, 'wheel');
  const unpacked = join(target, 'tensorflow');
  if (existsSync(join(unpacked, 'libtensorflow_framework.so.2'))) return unpacked;
  const python = findPython();
  const downloads = join(folder, 'download');
  rmSync(target, { recursive: true, force: true });
  mkdirSync(downloads, { recursive: true });
  console.log(`Downloading ${WHEEL} from PyPI with ${python} (260 MB, 0.9 GB unpacked)`);
  const options = ['--no-deps', '--only-binary=:all:', ...BUILD, '--disable-pip-version-check', '--quiet'];
  run(python, ['-m', 'pip', 'download', ...options, '-d', downloads, `tensorflow-cpu==${VERSION}`]);
  const file = readdirSync(downloads).find(name => name.endsWith('.whl'));
  if (file === undefined) throw new CannotPrepare(`pip left no wheel in ${downloads}`);
  run(python, ['-c', UNPACK, join(downloads, file), target]);
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
