// node tools/new.mjs projector NAME | rule NAME | rule --state-free NAME | combine NAME | recipe NAME
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { generate } from './new/generate.mjs';

const usage = `Usage: npm run new -- projector NAME
       npm run new -- rule NAME
       npm run new -- rule --state-free NAME
       npm run new -- combine NAME
       npm run new -- recipe NAME
Writes a new part with its test and its entries in index, table and README: a starting point that works.
NAME is camelCase or kebab-case.`;

const root = fileURLToPath(new URL('..', import.meta.url));

try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { 'state-free': { type: 'boolean' }, help: { type: 'boolean', short: 'h' } },
  });
  const [what, name, ...rest] = positionals;
  if (values.help) {
    console.log(usage);
  } else if (!name || rest.length > 0 || !isKind(what) || (values['state-free'] && what !== 'rule')) {
    throw new Error(usage);
  } else {
    const files = generate(root, values['state-free'] ? 'state-free-rule' : what, name);
    const biome = join(root, 'node_modules/@biomejs/biome/bin/biome');
    // Names of another length than the template's need other line breaks and wider columns.
    spawnSync(process.execPath, [biome, 'check', '--write', '--log-level=error', ...files], {
      cwd: root,
      stdio: 'inherit',
    });
    console.log(`${files.join('\n')}\n\nnpx vitest run ${files.find(file => file.endsWith('.test.ts'))}`);
  }
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

/**
 * @param {string | undefined} what
 * @returns {what is 'rule' | 'projector' | 'combine' | 'recipe'}
 */
function isKind(what) {
  return what !== undefined && ['rule', 'projector', 'combine', 'recipe'].includes(what);
}
