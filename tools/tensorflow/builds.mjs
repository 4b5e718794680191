import { join } from 'node:path';

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

export { FRAMEWORK };
