import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';
import { insertReadmeRows } from './insert.mjs';
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
  const { template, package: short, folder, edits, cells, title } = primitives[kind];
  const from = namesOf(`template-${template}`);
  const to = namesOf(name);
  const package_ = `packages/${short}`;
  /** @type {Map<string, string>} */
  const files = new Map();

  /** @type {[file: string, where: string][]} */
  const written = [
    [`src/${from.kebab}.ts`, folder],
    [`test/${from.kebab}.test.ts`, 'test'],
  ];
  for (const [file, where] of written) {
    const target = `${package_}/${where}/${rename(posix.basename(file), from, to)}`;
    if (existsSync(join(root, target))) throw new Error(`name: ${to.camel} exists, see ${target}; choose another name`);
    const text = rename(readFileSync(join(templates, template, file), 'utf8'), from, to);
    files.set(
      target,
      moved(text, `${package_}/${where}`, folder).replace(`'./${to.kebab}-options.js'`, "'./options.js'"),
    );
  }

  requireFree(root, to, kind === 'recipe');

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
  /** @param {string} file of the template, by the new name */
  const read = file => rename(readFileSync(join(templates, template, rename(file, to, from)), 'utf8'), from, to);
  for (const [file, change] of edits(to, read)) edit(file, change);
  edit('README.md', text => insertReadmeRows(text, to.camel, cells, title));

  for (const [file, text] of files) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
  return [...files.keys()];
}

/**
 * A part is exported under its name next to those of the other packages, and one of the composer's would hide another.
 *
 * @param {string} root
 * @param {import('./names.mjs').Names} names
 * @param {boolean} isRecipe
 * @throws {Error} if the name is a word of the language, or something else is exported under it
 */
function requireFree(root, { camel, pascal }, isRecipe) {
  try {
    // Syntax alone: nothing runs.
    new Function(`'use strict'; const ${camel} = 0;`);
  } catch {
    throw new Error(`name: ${camel} is a word of the language; choose another name`);
  }
  // A recipe may have the name of the rule that it runs.
  const indexes = isRecipe
    ? ['packages/composer/src/recipes/index.ts']
    : [
        'packages/composer/src/compose.ts',
        ...['composer', 'projectors', 'state-full', 'state-free', 'core'].map(each => `packages/${each}/src/index.ts`),
      ];
  for (const index of indexes.filter(each => existsSync(join(root, each)))) {
    const exported = [...readFileSync(join(root, index), 'utf8').matchAll(/^export (?:type )?\{([^}]*)\}/gm)].flatMap(
      ([, list]) => (list ?? '').split(',').map(each => each.trim().split(/\s+/).at(-1)),
    );
    const taken = exported.find(each => each === camel || each === `${pascal}Options`);
    if (taken) throw new Error(`name: ${index} exports ${taken}; choose another name`);
  }
}

/**
 * Turns the imports of a template, which lies elsewhere, into those of the place that it goes to.
 *
 * @param {string} text
 * @param {string} to folder that it goes to
 * @param {string} sources folder of the package's sources that the test imports from
 */
function moved(text, to, sources) {
  return text
    .replace(/'(?:\.\.\/)+(packages\/[^']+)'/g, (_, target) => {
      const path = posix.relative(to, target);
      return `'${path.startsWith('.') ? path : `./${path}`}'`;
    })
    .replace(/'\.\.\/src\//g, `'../${sources}/`);
}
