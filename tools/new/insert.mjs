// Puts one more line into a file that lists things: an index, a table of rules, a table in a README.

/**
 * Adds a statement that names a module among others of its kind, by the order of the modules.
 *
 * @param {string} text
 * @param {'import' | 'export'} keyword
 * @param {string} statement
 * @param {string} module such as `./lion.js`
 */
export function insertModuleStatement(text, keyword, statement, module) {
  const pattern = new RegExp(`^${keyword} [^;]*? from '(\\./[^']+)';\\n`, 'gm');
  const known = [...text.matchAll(pattern)];
  const next = known.find(([, other = '']) => other > module);
  const last = known.at(-1);
  const at = next?.index ?? (last ? last.index + last[0].length : text.length);
  return `${text.slice(0, at)}${statement}\n${text.slice(at)}`;
}

/**
 * Adds an entry at the end of a table, an array or an object: of the one of a name, or of the first that is exported.
 *
 * @param {string} text
 * @param {string} entry
 * @param {string} [name]
 * @throws {Error} if there is no `const NAME … = [ … ];` or `= { … };`
 */
export function insertTableEntry(text, entry, name) {
  const pattern = name === undefined ? /^export const [A-Z_]+\b.* = [[{]$/m : tableOf(name);
  const table = pattern.exec(text);
  const end = table ? text.indexOf(table[0].endsWith('[') ? '\n];' : '\n};', table.index) : -1;
  if (end < 0) throw new Error(`found no table ${name ?? 'that is exported'} to add the entry to`);
  return `${text.slice(0, end)}\n  ${entry},${text.slice(end)}`;
}

/**
 * Puts a declaration before a table and the comment on it.
 *
 * @param {string} text
 * @param {string} declaration
 * @param {string} name
 * @throws {Error} if there is no such table
 */
export function insertBeforeTable(text, declaration, name) {
  const table = tableOf(name).exec(text);
  if (table === null) throw new Error(`found no table ${name} to put a declaration before`);
  const at = text.lastIndexOf('\n\n', table.index) + 2;
  return `${text.slice(0, at)}${declaration.trim()}\n\n${text.slice(at)}`;
}

/** @param {string} name */
function tableOf(name) {
  return new RegExp(`^(?:export )?const ${name}\\b.* = [[{]$`, 'm');
}

/**
 * Adds a row at the end of the Markdown tables whose first column names primitives (rule, projector, name or factory, or the given title):
 * to the first one, the list of primitives, and to each other one all of whose columns are known, such as options.
 *
 * @param {string} text
 * @param {string} camel name of the primitive
 * @param {[title: RegExp, cell: string][]} cells
 * @param {string} [title] of the first column
 * @returns {string | null} null: there is no such table
 */
export function insertReadmeRows(text, camel, cells, title = '(?:rule|projector|name|factory)s?') {
  const named = new RegExp(`^\\|\\s*${title}\\s*\\|`, 'i');
  const lines = text.split('\n');
  const headers = lines.flatMap((line, index) =>
    named.test(line) && /^\|[\s:|-]+\|$/.test(lines[index + 1] ?? '') ? [index] : [],
  );
  for (const header of [...headers].reverse()) {
    const [, ...titles] = (lines[header] ?? '').split('|').slice(1, -1);
    const row = titles.map(other => cells.find(([pattern]) => pattern.test(other.trim()))?.[1]);
    if (header !== headers[0] && row.includes(undefined)) continue;
    const rest = row.map((cell = '', column) => ` ${cell} `.padEnd(titles[column]?.length ?? 0));
    const first = ` \`${camel}\` `.padEnd((lines[header] ?? '').indexOf('|', 1) - 1);
    let end = header + 2;
    while (lines[end]?.startsWith('|')) end++;
    lines.splice(end, 0, `|${[first, ...rest].join('|')}|`);
  }
  return headers.length > 0 ? lines.join('\n') : null;
}

/**
 * Adds a sub-path to the `exports` of a package.json, by the order of the sub-paths; nothing where a pattern covers it.
 *
 * @param {string} text
 * @param {string} kebab name of the module, without `./` and ending
 * @returns {string | null} null: nothing to add
 */
export function insertSubPath(text, kebab) {
  const manifest = JSON.parse(text);
  if ('./*' in manifest.exports) return null;
  const path = `./${kebab}`;
  const entry = {
    '@frugaljs/source': `./src/${kebab}.ts`,
    types: `./dist/${kebab}.d.ts`,
    default: `./dist/${kebab}.js`,
  };
  const known = Object.entries(manifest.exports);
  const found = known.findIndex(([other]) => other === './package.json' || (other !== '.' && other > path));
  const at = found < 0 ? known.length : found;
  manifest.exports = Object.fromEntries([...known.slice(0, at), [path, entry], ...known.slice(at)]);
  return `${JSON.stringify(manifest, null, 2)}\n`;
}
