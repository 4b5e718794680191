import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';

const root = new URL('../', import.meta.url);

test('bundlers keep what registers the optimizer with tfjs when the package is imported for that alone', () => {
  const { sideEffects } = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { sideEffects: string[] };
  const sources = readdirSync(new URL('src', root), { recursive: true, encoding: 'utf8' });
  // What a file does besides exporting: a call at the top level.
  const registering = sources
    .filter(file => file.endsWith('.ts'))
    .filter(file =>
      /^(serialization\.registerClass|register|readCompositionsWith)\(/m.test(
        readFileSync(new URL(`src/${file}`, root), 'utf8'),
      ),
    );
  expect(registering.sort()).toEqual(['built-ins.ts', 'json.ts', 'optimizer.ts']);
  const kept = ['index.ts', ...registering].flatMap(file => [`./src/${file}`, `./dist/${file.replace(/ts$/, 'js')}`]);
  expect([...sideEffects].sort()).toEqual(kept.sort());
});
