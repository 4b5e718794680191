// node tools/new.mjs projector NAME | rule NAME | rule --state-free NAME
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { generate } from './new/generate.mjs';

const usage = `Usage: npm run new -- projector NAME
       npm run new -- rule NAME
       npm run new -- rule --state-free NAME
Writes a new primitive with its test and its entries in index, table and README: a starting point that works.
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
  } else if (!name || rest.length > 0 || (what !== 'rule' && (what !== 'projector' || values['state-free']))) {
    throw new Error(usage);
  } else {
    const files = generate(root, what === 'rule' && values['state-free'] ? 'state-free-rule' : what, name);
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
