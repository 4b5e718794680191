// What the checks look at, read once: the packages with their manifests and source files, and the repository's file list.
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join, posix, relative, sep } from 'node:path';

/**
 * @typedef {object} Manifest package.json, as far as the checks read it
 * @property {string} [name]
 * @property {string} [version]
 * @property {string} [description]
 * @property {string} [license]
 * @property {string} [homepage]
 * @property {string} [bugs]
 * @property {{ type?: string, url?: string, directory?: string }} [repository]
 * @property {string} [type]
 * @property {boolean} [private]
 * @property {Record<string, unknown>} [exports]
 * @property {Record<string, string>} [engines]
 * @property {Record<string, string>} [bin]
 * @property {Record<string, string>} [scripts]
 * @property {string[]} [files]
 * @property {Record<string, string>} [dependencies]
 * @property {Record<string, string>} [peerDependencies]
 * @property {Record<string, string>} [devDependencies]
 * @property {Record<string, string>} [optionalDependencies]
 * @property {Record<string, { optional?: boolean }>} [peerDependenciesMeta]
 *
 * @typedef {object} Package
 * @property {string} short folder name, such as `state-full`
 * @property {string} path folder from the root, such as `packages/state-full`
 * @property {Manifest} manifest
 * @property {string[]} sources TypeScript files under src/, from the root
 *
 * @typedef {object} Example a program under examples/, to read and to copy; never published
 * @property {string} path folder from the root, such as `examples/cnn`
 * @property {Manifest} manifest
 *
 * @typedef {object} Workspace
 * @property {string} root absolute folder
 * @property {string} scope such as `@frugaljs/`
 * @property {Package[]} packages
 * @property {Example[]} examples
 * @property {string[]} files tracked and not ignored files, from the root
 * @property {(file: string) => string} read text of a file named from the root
 *
 * @typedef {object} Findings
 * @property {string[]} failures each names a file and says what to do
 * @property {string[]} [warnings]
 * @property {string} [note] what was looked at, for the line of a passing check
 */

/**
 * @param {string} root
 * @returns {Workspace}
 */
export function openWorkspace(root) {
  const files = listFiles(root);
  /** @param {string} file */
  const read = file => readFileSync(join(root, file), 'utf8');
  const packages = readdirSync(join(root, 'packages'))
    .filter(short => existsSync(join(root, 'packages', short, 'package.json')))
    .map(short => ({
      short,
      path: `packages/${short}`,
      manifest: JSON.parse(read(`packages/${short}/package.json`)),
      sources: files.filter(file => file.startsWith(`packages/${short}/src/`) && /\.[cm]?tsx?$/.test(file)),
    }));
  const examples = files
    .filter(file => /^examples\/[^/]+\/package\.json$/.test(file))
    .map(file => ({ path: posix.dirname(file), manifest: JSON.parse(read(file)) }));
  return { root, scope: '@frugaljs/', packages, examples, files, read };
}

/**
 * Whether a package is an application: something to run, such as a page, and not to install. It is marked `private`, is
 * never published, has no exports for others to import, and brings its own tfjs-core, as nobody shares tensors with it.
 *
 * @param {Package} pack
 */
export function isApplication({ manifest }) {
  return manifest.private === true;
}

// Files that git tracks or would track; a folder without git (an unpacked archive, a test's fixture) is walked instead.
/** @param {string} root */
function listFiles(root) {
  if (!existsSync(join(root, '.git'))) return walk(root, root).sort();
  const listed = execFileSync('git', ['ls-files', '-z', '--cached', '--others', '--exclude-standard'], {
    cwd: root,
    encoding: 'utf8',
  });
  return [...new Set(listed.split('\0'))].filter(file => file && existsSync(join(root, file))).sort();
}

const generated = new Set(['node_modules', 'dist', '.nx', '.cache', '.git', 'coverage']);

/**
 * @param {string} root
 * @param {string} folder
 * @returns {string[]}
 */
function walk(root, folder) {
  return readdirSync(folder).flatMap(name => {
    if (generated.has(name)) return [];
    const path = join(folder, name);
    return statSync(path).isDirectory() ? walk(root, path) : [relative(root, path).split(sep).join('/')];
  });
}
