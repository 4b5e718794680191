import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { FRAMEWORK } from './builds.mjs';
import { CannotPrepare, run } from './run.mjs';

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
 * @param {import('./builds.mjs').Build} build
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
