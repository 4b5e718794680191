// Every way in which a TypeScript file names another module, found on the syntax tree: strings and comments that merely
// look like imports do not count.
import ts from 'typescript';

/**
 * @typedef {object} Import
 * @property {string} specifier
 * @property {number} line 1-based
 * @property {boolean} typeOnly erased by the compiler
 */

/**
 * @param {string} text
 * @param {string} file name, for the syntax kind
 * @returns {Import[]}
 */
export function importsOf(text, file) {
  const source = ts.createSourceFile(file, text, ts.ScriptTarget.Latest, true);
  /** @type {Import[]} */
  const found = [];
  /**
   * @param {ts.Node | undefined} literal
   * @param {boolean} typeOnly
   */
  const add = (literal, typeOnly) => {
    if (!literal || !ts.isStringLiteralLike(literal)) return;
    const { line } = source.getLineAndCharacterOfPosition(literal.getStart(source));
    found.push({ specifier: literal.text, line: line + 1, typeOnly });
  };
  /** @param {ts.Node} node */
  const visit = node => {
    if (ts.isImportDeclaration(node)) add(node.moduleSpecifier, erased(node.importClause));
    else if (ts.isExportDeclaration(node)) add(node.moduleSpecifier, node.isTypeOnly);
    else if (ts.isImportTypeNode(node) && ts.isLiteralTypeNode(node.argument)) add(node.argument.literal, true);
    else if (ts.isCallExpression(node) && loadsModule(node.expression)) add(node.arguments[0], false);
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

/** @param {ts.ImportClause | undefined} clause none for `import 'x'`, which is run for its effect */
function erased(clause) {
  return clause?.phaseModifier === ts.SyntaxKind.TypeKeyword;
}

/** @param {ts.Expression} callee */
function loadsModule(callee) {
  return callee.kind === ts.SyntaxKind.ImportKeyword || (ts.isIdentifier(callee) && callee.text === 'require');
}

/**
 * Package that a bare specifier belongs to: `@scope/name/file` → `@scope/name`.
 *
 * @param {string} specifier
 */
export function packageOf(specifier) {
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}
