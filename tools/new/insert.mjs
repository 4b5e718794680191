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
 * Adds an entry at the end of the exported table, an array or an object.
 *
 * @param {string} text
 * @param {string} entry
 * @throws {Error} if there is no `export const NAME … = [ … ];` or `= { … };`
 */
export function insertTableEntry(text, entry) {
  const table = /^export const [A-Z_]+\b.* = [[{]$/m.exec(text);
  const end = table ? text.indexOf(table[0].endsWith('[') ? '\n];' : '\n};', table.index) : -1;
  if (end < 0) throw new Error('src/table.ts: found no exported table to add the entry to');
  return `${text.slice(0, end)}\n  ${entry},${text.slice(end)}`;
}

/**
 * Adds a row at the end of the Markdown tables whose first column names primitives (rule, projector, name or factory):
 * to the first one, the list of primitives, and to each other one all of whose columns are known, such as options.
 *
 * @param {string} text
 * @param {string} camel name of the primitive
 * @param {[title: RegExp, cell: string][]} cells
 * @returns {string | null} null: there is no such table
 */
export function insertReadmeRows(text, camel, cells) {
  const lines = text.split('\n');
  const headers = lines.flatMap((line, index) =>
    /^\|\s*(rule|projector|name|factory)s?\s*\|/i.test(line) && /^\|[\s:|-]+\|$/.test(lines[index + 1] ?? '')
      ? [index]
      : [],
  );
  for (const header of [...headers].reverse()) {
    const [, ...titles] = (lines[header] ?? '').split('|').slice(1, -1);
    const row = titles.map(title => cells.find(([pattern]) => pattern.test(title.trim()))?.[1]);
    if (header !== headers[0] && row.includes(undefined)) continue;
    const rest = row.map((cell = '', column) => ` ${cell} `.padEnd(titles[column]?.length ?? 0));
    const first = ` \`${camel}\` `.padEnd((lines[header] ?? '').indexOf('|', 1) - 1);
    let end = header + 2;
    while (lines[end]?.startsWith('|')) end++;
    lines.splice(end, 0, `|${[first, ...rest].join('|')}|`);
  }
  return headers.length > 0 ? lines.join('\n') : null;
}
