// Imports stay inside the table of layers.mjs, cross a package border by package name only, and are declared in
// package.json, so that each package works when it is installed alone.
import { isBuiltin } from 'node:module';
import { posix } from 'node:path';
import { importsOf, packageOf } from './imports.mjs';
import { layers, upwardArrows } from './layers.mjs';

/**
 * @param {import('./workspace.mjs').Workspace} workspace
 * @param {Readonly<Record<string, import('./layers.mjs').Layer>>} [table]
 * @returns {import('./workspace.mjs').Findings}
 */
export function checkBoundaries(workspace, table = layers) {
  const failures = upwardArrows(table);
  let imports = 0;
  for (const pack of workspace.packages) {
    const layer = table[pack.short];
    if (!layer) {
      failures.push(`${pack.path}: not in the table; add a row to tools/check/layers.mjs and to docs/design.md`);
      continue;
    }
    failures.push(...wrongDependencies(workspace, pack, layer));
    for (const file of pack.sources) {
      for (const { specifier, line } of importsOf(workspace.read(file), file)) {
        imports++;
        const problem = wrongImport(workspace, pack, layer, file, specifier);
        if (problem) failures.push(`${file}:${line}: ${problem}`);
      }
    }
  }
  return { failures, note: `${imports} imports` };
}

/**
 * @param {import('./workspace.mjs').Workspace} workspace
 * @param {import('./workspace.mjs').Package} pack
 * @param {import('./layers.mjs').Layer} layer
 * @param {string} file
 * @param {string} specifier
 * @returns {string | null}
 */
function wrongImport(workspace, pack, layer, file, specifier) {
  if (specifier.startsWith('.')) {
    const target = posix.join(posix.dirname(file), specifier);
    if (target.startsWith(`${pack.path}/src/`)) return null;
    return `'${specifier}' leaves ${pack.path}/src; import another package by its name`;
  }
  if (isBuiltin(specifier)) {
    const allowed = typeof layer.node === 'string' ? file.startsWith(`${pack.path}/src/${layer.node}/`) : layer.node;
    if (!allowed) return `'${specifier}' exists only in Node, and ${file} must also run in a page`;
    return specifier.startsWith('node:') ? null : `'${specifier}': write 'node:${specifier}'`;
  }
  const name = packageOf(specifier);
  if (name === pack.manifest.name) return `'${specifier}' is the package itself; use a relative import`;
  if (!mayImport(workspace, layer, name)) {
    const allowed = [...layer.workspace.map(short => workspace.scope + short), ...layer.external];
    return `'${specifier}' is not allowed; ${pack.short} may import only ${allowed.join(', ') || 'its own files'}`;
  }
  if (pack.manifest.dependencies?.[name] ?? pack.manifest.peerDependencies?.[name]) return null;
  return `'${specifier}': ${pack.path}/package.json declares ${name} neither in dependencies nor in peerDependencies`;
}

/**
 * @param {import('./workspace.mjs').Workspace} workspace
 * @param {import('./layers.mjs').Layer} layer
 * @param {string} name
 */
function mayImport(workspace, layer, name) {
  if (name.startsWith(workspace.scope)) return layer.workspace.includes(name.slice(workspace.scope.length));
  return layer.external.includes('*') || layer.external.includes(name);
}

// package.json and tsconfig.json must tell the same story as the table: a dependency that nobody imports yet would
// otherwise pass, and a missing project reference breaks `tsc -b` only on a clean checkout.
/**
 * @param {import('./workspace.mjs').Workspace} workspace
 * @param {import('./workspace.mjs').Package} pack
 * @param {import('./layers.mjs').Layer} layer
 */
function wrongDependencies(workspace, pack, layer) {
  const { dependencies = {}, peerDependencies = {} } = pack.manifest;
  const declared = Object.keys({ ...dependencies, ...peerDependencies });
  const failures = declared
    .filter(name => !mayImport(workspace, layer, name))
    .map(name => `${pack.path}/package.json: depends on ${name}, which the table does not allow to ${pack.short}`);
  const config = `${pack.path}/tsconfig.json`;
  if (!workspace.files.includes(config)) return [...failures, `${config}: missing`];
  const wanted = declared
    .filter(name => name.startsWith(workspace.scope))
    .map(name => name.slice(workspace.scope.length));
  /** @type {{ path: string }[]} */
  const references = JSON.parse(workspace.read(config)).references ?? [];
  const found = references.map(({ path }) => posix.basename(path));
  return [
    ...failures,
    ...wanted.filter(short => !found.includes(short)).map(short => `${config}: references lack ../${short}`),
    ...found
      .filter(short => !wanted.includes(short))
      .map(short => `${config}: references ../${short}, which ${pack.path}/package.json does not depend on`),
  ];
}
