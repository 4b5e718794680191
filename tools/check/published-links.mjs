// A plugin of remark: the README of a package links only to what its tarball holds, or by an address; in the registry a
// relative link to another package or to docs/ leads nowhere.
import { existsSync, readFileSync } from 'node:fs';
import { join, posix } from 'node:path';

/**
 * @typedef {{ type: string, url?: string, children?: Node[], position?: object }} Node
 * @typedef {{ cwd: string, path: string, message: (reason: string, place?: object) => void }} File
 */

/** @returns {(tree: Node, file: File) => void} */
export default function publishedLinks() {
  return (tree, file) => {
    const path = file.path.replaceAll('\\', '/');
    const [, folder] = /^(packages\/[^/]+)\/README\.md$/.exec(path) ?? [];
    const manifest = folder && join(file.cwd, folder, 'package.json');
    if (!manifest || !existsSync(manifest)) return;
    const { files = [], private: isApplication = false } = JSON.parse(readFileSync(manifest, 'utf8'));
    if (isApplication) return;
    /** @type {(entry: string) => boolean} */
    const isPublished = target => files.some((/** @type {string} */ entry) => `${target}/`.startsWith(`${entry}/`));
    for (const link of linksOf(tree)) {
      const [target = ''] = (link.url ?? '').split('#');
      if (target === '' || /^[a-z+]+:/.test(target) || isPublished(posix.normalize(decodeURI(target)))) continue;
      file.message(
        `${target} is not in the tarball of ${folder}; link to its address in the repository`,
        link.position,
      );
    }
  };
}

/**
 * @param {Node} node
 * @returns {Node[]} links, images and definitions in it
 */
function linksOf(node) {
  return [...(node.url === undefined ? [] : [node]), ...(node.children ?? []).flatMap(linksOf)];
}
