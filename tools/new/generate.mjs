import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { insertModuleStatement, insertReadmeRows, insertTableEntry } from './insert.mjs';
import { namesOf, rename } from './names.mjs';
import { primitives } from './primitives.mjs';

const templates = fileURLToPath(new URL('templates', import.meta.url));

/**
 * Writes source, test and documentation entry of a new primitive: a working starting point, whose test passes.
 *
 * @param {string} root absolute folder of the workspace
 * @param {keyof typeof primitives} kind
 * @param {string} name camelCase or kebab-case
 * @returns {string[]} files written, from the root
 * @throws {Error} before anything is written: a malformed name, or one that the package already has
 */
export function generate(root, kind, name) {
  const { template, package: short, entry, cells } = primitives[kind];
  const from = namesOf(`template-${template}`);
  const to = namesOf(name);
  const package_ = `packages/${short}`;
  /** @type {Map<string, string>} */
  const files = new Map();

  for (const file of [`src/${from.kebab}.ts`, `test/${from.kebab}.test.ts`]) {
    const target = `${package_}/${rename(file, from, to)}`;
    if (existsSync(join(root, target))) throw new Error(`name: ${to.camel} exists, see ${target}; choose another name`);
    files.set(target, rename(readFileSync(join(templates, template, file), 'utf8'), from, to));
  }

  /**
   * @param {string} file
   * @param {(text: string) => string | null} edit
   */
  const edit = (file, edit) => {
    const path = `${package_}/${file}`;
    if (!existsSync(join(root, path))) return;
    const edited = edit(readFileSync(join(root, path), 'utf8'));
    if (edited !== null) files.set(path, edited);
  };
  const module = `./${to.kebab}.js`;
  const exports = `export { type ${to.pascal}Options, ${to.camel} } from '${module}';`;
  edit('src/index.ts', text => insertModuleStatement(text, 'export', exports, module));
  edit('src/table.ts', text =>
    insertTableEntry(
      insertModuleStatement(text, 'import', `import { ${to.camel} } from '${module}';`, module),
      entry(to.camel),
    ),
  );
  edit('README.md', text => insertReadmeRows(text, to.camel, cells));

  for (const [file, text] of files) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  return [...files.keys()];
}
