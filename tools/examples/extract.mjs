// Finds the programs in a Markdown page. Fences:
//   ```ts                     type-checked and run
//   ```ts continue            appended to the program before it: one program told in several steps
//   ```ts no-run REASON       type-checked only; the reason is required, such as "needs a page with WebGPU"

/**
 * @typedef {object} Example
 * @property {string} page file that holds it
 * @property {number} line of the opening fence, 1-based
 * @property {string} code every line stands at its line number in the page, so that compilers and stacks name that line
 * @property {string | null} noRun why it is not run; null: it is
 */

/**
 * @param {string} text
 * @param {string} page
 * @returns {Example[]}
 * @throws {Error} naming page and line: a fence left open, an unknown word after `ts`, `no-run` without a reason, or
 *   `continue` with nothing before it
 */
export function extractExamples(text, page) {
  /** @type {Example[]} */
  const examples = [];
  /** @type {{ line: number, fence: string, info: string, body: string[] } | null} */
  let open = null;
  text.split('\n').forEach((content, index) => {
    const line = index + 1;
    const [, fence = '', info = ''] = /^\s*(`{3,}|~{3,})(.*)$/.exec(content) ?? [];
    if (open === null) {
      if (fence) open = { line, fence, info: info.trim(), body: [] };
    } else if (fence.startsWith(open.fence) && info.trim() === '') {
      add(examples, page, open);
      open = null;
    } else {
      open.body.push(content);
    }
  });
  const unclosed = /** @type {{ line: number } | null} */ (open);
  if (unclosed) throw new Error(`${page}:${unclosed.line}: the code block is never closed`);
  return examples;
}

/**
 * @param {Example[]} examples
 * @param {string} page
 * @param {{ line: number, info: string, body: string[] }} block
 */
function add(examples, page, { line, info, body }) {
  const [language, mode, ...reason] = info.split(/\s+/);
  if (language !== 'ts') return;
  const at = `${page}:${line}`;
  if (mode === 'continue') {
    const previous = examples.at(-1);
    if (!previous) throw new Error(`${at}: 'ts continue' has no program before it`);
    previous.code += '\n'.repeat(line - previous.code.split('\n').length + 1) + body.join('\n');
    return;
  }
  if (mode !== undefined && mode !== 'no-run') {
    throw new Error(`${at}: 'ts ${mode}' is unknown; expected 'ts', 'ts continue' or 'ts no-run REASON'`);
  }
  if (mode === 'no-run' && reason.length === 0)
    throw new Error(`${at}: 'ts no-run' needs a reason, such as 'browser only'`);
  examples.push({ page, line, code: '\n'.repeat(line) + body.join('\n'), noRun: mode ? reason.join(' ') : null });
}
