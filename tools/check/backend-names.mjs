// What holds on every backend must not know any by name: a kernel set says what its backend can do (`BackendTraits` in
// core), and whoever needs to know asks the registry. A name in these packages would be a special case that the next
// backend does not get.
import ts from 'typescript';

const neutral = ['core', 'composer', 'linalg', 'projectors', 'checkpoint'];
const names = ['cpu', 'wasm', 'webgl', 'webgpu', 'tensorflow'];

/**
 * @param {import('./workspace.mjs').Workspace} workspace
 * @returns {import('./workspace.mjs').Findings}
 */
export function checkBackendNames({ packages, read }) {
  const sources = packages.filter(({ short }) => neutral.includes(short)).flatMap(pack => pack.sources);
  const failures = sources.flatMap(file =>
    literalsOf(read(file), file)
      .filter(({ text }) => names.includes(text))
      .map(({ text, line }) => `${file}:${line}: '${text}' is a backend's name; ask its kernel set for what it can do`),
  );
  return { failures, note: `${sources.length} files` };
}

/**
 * String literals, also those in types; comments do not count.
 *
 * @param {string} text
 * @param {string} file name, for the syntax kind
 * @returns {{ text: string, line: number }[]} line 1-based
 */
function literalsOf(text, file) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  /** @type {{ text: string, line: number }[]} */
  const found = [];
  /** @param {ts.Node} node */
  const visit = node => {
    if (ts.isStringLiteralLike(node)) {
      found.push({ text: node.text, line: source.getLineAndCharacterOfPosition(node.getStart(source)).line + 1 });
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}
