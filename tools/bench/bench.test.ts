import { expect, test } from 'vitest';
import { command } from './command.js';
import { digits, milliseconds } from './table.js';

/** Lines that a benchmark prints, and its exit code. */
async function run(...args: string[]): Promise<{ readonly code: number; readonly lines: readonly string[] }> {
  const lines: string[] = [];
  const code = await command(args, line => lines.push(line));
  return { code, lines };
}

/** The fields of the line of a method. */
function fieldsOf(lines: readonly string[], method: string): readonly string[] {
  const line = lines.find(each => each.split(/\s+/)[1] === method);
  if (line === undefined) throw new Error(`no line for ${method} in:\n${lines.join('\n')}`);
  return line.split(/\s{2,}/);
}

test('step: a line for each method, with its time', async () => {
  const methods = ['copy', 'tf.train.adam', 'adamW', 'frugal-rows'];
  const small = ['--matrices', '2', '--size', '16', '--rounds', '2'];
  const { code, lines } = await run('step', '--backend', 'wasm', '--methods', methods.join(), ...small);
  expect(code).toBe(0);
  for (const method of methods) expect(Number(fieldsOf(lines, method)[2])).toBeGreaterThan(0);
  expect(fieldsOf(lines, 'adamW').at(-1)).toMatch(/^fused WebAssembly SIMD/);
});

test('step: on cpu without products of large matrices, unless they are asked for', async () => {
  const small = ['--backend', 'cpu', '--matrices', '1', '--size', '16', '--rounds', '1'];
  const all = await run('step', ...small);
  expect(all.code).toBe(0);
  expect(fieldsOf(all.lines, 'nested-rows').at(-1)).toMatch(/^fused WebAssembly SIMD/);
  expect(() => fieldsOf(all.lines, 'frugal-svd')).toThrow('no line');
  expect(all.lines).toContain(
    'cpu multiplies matrices in JavaScript: without frugal-svd, fira-random, apollo-random, svd-products, ' +
      'random-products, sketch-products, svd-refresh, svd-refresh-cold; ' +
      'ask for them with --methods',
  );
  const asked = await run('step', ...small, '--methods', 'frugal-svd');
  expect(Number(fieldsOf(asked.lines, 'frugal-svd')[2])).toBeGreaterThan(0);
});

test('train: a line for each method, with its time', async () => {
  const methods = ['gradients', 'tf.train.adam', 'frugal-columns'];
  const { code, lines } = await run('train', '--methods', methods.join(), '--rounds', '1');
  expect(code).toBe(0);
  for (const method of methods) expect(Number(fieldsOf(lines, method)[2])).toBeGreaterThan(0);
  // tf.train.adam makes temporaries of the size of the parameters, an update in place none.
  const peak = (method: string): number => Number(fieldsOf(lines, method).at(-1));
  expect(peak('frugal-columns')).toBeCloseTo(peak('gradients'), 1);
  expect(peak('tf.train.adam')).toBeGreaterThan(peak('gradients'));
});

test('layers: both sides of each model, and how many times as fast', async () => {
  const { code, lines } = await run('layers', '--models', 'cnn', '--batch', '1', '--rounds', '1');
  expect(code).toBe(0);
  const rows = lines.slice(-2).map(line => line.split(/\s{2,}/));
  expect(rows.map(([model, backend]) => [model, backend])).toEqual([
    ['cnn', 'cpu'],
    ['cnn', 'wasm'],
  ]);
  for (const row of rows) expect(Number(row.at(-1))).toBeGreaterThan(0);
});

test('times and ratios keep three digits, however short they are', () => {
  expect([0.00048, 0.0567, 0.5, 1.234, 131.26].map(milliseconds)).toEqual([
    '0.000480',
    '0.0567',
    '0.500',
    '1.23',
    '131.26',
  ]);
  expect([null, 0, 0.999, 12.34, 585.2].map(digits)).toEqual(['-', '0', '0.999', '12.3', '585']);
});

test('mistakes are told with the usage', async () => {
  for (const [args, message] of [
    [['run'], /unknown benchmark "run"; there are step, train, layers/],
    [['train', '--methods', 'adam'], /--methods: unknown adam; there are gradients/],
    [['step', '--rounds', '0'], /--rounds: expected an integer of at least 1, found "0"/],
  ] as const) {
    const { code, lines } = await run(...args);
    expect(code).toBe(1);
    expect(lines.join('\n')).toMatch(message);
    expect(lines.join('\n')).toContain('npm run bench -- train');
  }
});
