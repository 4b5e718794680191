// No file and no package may reach itself by following imports: a cycle hides which part is the foundation, and hands
// out half-initialized modules. `import type` counts, too: though it is gone at run time, none of the files can be
// understood before the others. Types that refer to each other (a rule may hold a combine, which may hold a rule) belong
// in one file.
import { posix } from 'node:path';
import { importsOf } from './imports.mjs';

/**
 * @param {import('./workspace.mjs').Workspace} workspace
 * @returns {import('./workspace.mjs').Findings}
 */
export function checkCycles(workspace) {
  /** @type {Map<string, string[]>} */
  const files = new Map();
  for (const file of workspace.packages.flatMap(pack => pack.sources)) {
    const targets = importsOf(workspace.read(file), file)
      .filter(({ specifier }) => specifier.startsWith('.'))
      .map(({ specifier }) => posix.join(posix.dirname(file), specifier).replace(/\.([cm]?)js$/, '.$1ts'));
    files.set(file, targets);
  }
  const packages = new Map(
    workspace.packages.map(({ path, manifest }) => [
      path,
      Object.keys({ ...manifest.dependencies, ...manifest.peerDependencies })
        .filter(name => name.startsWith(workspace.scope))
        .map(name => `packages/${name.slice(workspace.scope.length)}`),
    ]),
  );
  const failures = [...findCycles(files), ...findCycles(packages)].map(cycle => `cycle: ${cycle.join(' → ')}`);
  return { failures, note: `${files.size} files, ${packages.size} packages` };
}

/**
 * One cycle for every edge that closes one, by depth-first search.
 *
 * @param {ReadonlyMap<string, readonly string[]>} graph
 * @returns {string[][]} each starts and ends with the same node
 */
export function findCycles(graph) {
  /** @type {string[][]} */
  const cycles = [];
  const done = new Set();
  /** @type {string[]} */
  const path = [];
  /** @param {string} node */
  const visit = node => {
    const at = path.indexOf(node);
    if (at >= 0) {
      cycles.push([...path.slice(at), node]);
      return;
    }
    if (done.has(node)) return;
    path.push(node);
    for (const next of graph.get(node) ?? []) visit(next);
    path.pop();
    done.add(node);
  };
  for (const node of graph.keys()) visit(node);
  return cycles;
}
