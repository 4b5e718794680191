import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { runModule } from '../../../tools/test-support/node-process.js';

const root = new URL('../', import.meta.url);
const manifest = JSON.parse(readFileSync(new URL('package.json', root), 'utf8'));

test('Node imports the package as an ES module, and it computes', async () => {
  const code = `
    import { interpret, Tracer } from '@frugaljs/core';
    import { tensor1d } from '@tensorflow/tfjs-core';
    import '@tensorflow/tfjs-backend-cpu';
    const tracer = new Tracer();
    const graph = tracer.graph({ d: tracer.input('g', 'element').sign() }, { d: 'element' });
    console.log(interpret(graph, { g: tensor1d([-2, 0, 5]) }, {}, [3]).d.dataSync().join());
  `;
  expect((await runModule(code)).trim()).toBe('-1,0,1');
});

test('every file and every entry can be imported alone, and importing has no side effect on tfjs', async () => {
  const files = readdirSync(new URL('src', root), { recursive: true, encoding: 'utf8' })
    .filter(file => file.endsWith('.ts'))
    .map(file => new URL(`src/${file}`, root).href);
  const entries = Object.keys(manifest.exports)
    .filter(entry => entry !== './package.json')
    .map(entry => `@frugaljs/core${entry.slice(1)}`);
  expect(files.length).toBeGreaterThan(10);
  expect(entries).toContain('@frugaljs/core/schedules');
  const code = `
    import { engine } from '@tensorflow/tfjs-core';
    for (const path of ${JSON.stringify([...files, ...entries])}) await import(path);
    console.log(engine().state.numTensors, engine().backendNames().length);
  `;
  expect((await runModule(code)).trim()).toBe('0 0');
});

test('the manifest offers source, types and output for every entry, and names each of them', () => {
  expect(manifest.type).toBe('module');
  for (const [entry, conditions] of Object.entries<Record<string, string>>(manifest.exports)) {
    if (entry === './package.json') continue;
    expect(Object.keys(conditions), entry).toEqual(['@frugaljs/source', 'types', 'default']);
    expect(entry).not.toContain('*');
  }
  expect(manifest.exports['.']).toEqual({
    '@frugaljs/source': './src/index.ts',
    types: './dist/index.d.ts',
    default: './dist/index.js',
  });
  expect(manifest.peerDependencies).toHaveProperty('@tensorflow/tfjs-core');
  expect(manifest.dependencies).toBeUndefined();
});
