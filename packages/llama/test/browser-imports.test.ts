import { readFileSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const SOURCE = fileURLToPath(new URL('../src/', import.meta.url));

/** Every module the index reaches, by following the import statements of the sources. */
function reachable(file: string, seen: Map<string, string> = new Map()): Map<string, string> {
  for (const [, specifier] of readFileSync(file, 'utf8').matchAll(/from '([^']+)'/g)) {
    if (seen.has(specifier!) && !specifier!.startsWith('.')) continue;
    if (!specifier!.startsWith('.')) {
      seen.set(specifier!, file);
      continue;
    }
    const target = join(dirname(file), specifier!.replace(/\.js$/, '.ts'));
    if (seen.has(target)) continue;
    seen.set(target, file);
    reachable(target, seen);
  }
  return seen;
}

it('the index needs nothing that a page does not have', () => {
  const modules = reachable(join(SOURCE, 'index.ts'));
  const packages = [...modules.keys()].filter(name => !name.startsWith(SOURCE)).sort();
  expect(packages).toEqual(['@huggingface/tokenizers', '@tensorflow/tfjs-core']);
  expect(packages.filter(name => name.startsWith('node:') || builtinModules.includes(name))).toEqual([]);
  expect([...modules.keys()].filter(name => name.startsWith(join(SOURCE, 'node')))).toEqual([]);
  // The model and the data pipeline were really followed.
  expect(modules.has(join(SOURCE, 'ops.ts'))).toBe(true);
  expect(modules.has(join(SOURCE, 'token-dataset.ts'))).toBe(true);
});
