import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recipe } from '@frugaljs/composer';
import { FrugalError } from '@frugaljs/core';
import { preset } from '@frugaljs/llama';
import * as fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { runCommand } from '../src/cli/program.js';
import { memoryOf } from '../src/memory/memory-of.js';
import { limitsOf, plan } from '../src/memory/plan.js';
import { formatBinaryBytes, formatBytesIn, parseBytes } from '../src/terminal/text.js';

const GIB = 2 ** 30;
const model = (name: string, batch = 8, length = 64) => ({ config: preset(name), batch, length });
/** Few candidates, for tests that make many plans. */
const FEW = { densities: [1, 0.5, 0.25, 0], projectors: ['rows', 'svd'] };

describe('sizes', () => {
  test.each([
    ['8GiB', 8 * GIB],
    ['8 gib', 8 * GIB],
    ['500MB', 5e8],
    ['1.5 KiB', 1536],
    ['.5kB', 500],
    ['2TiB', 2 ** 41],
    ['123', 123],
    ['123B', 123],
    [4096, 4096],
  ])('%s', (text, bytes) => {
    expect(parseBytes('budget', text)).toBe(bytes);
  });

  test.each(['', '8G', '8Gi', '-1GiB', 'much', '0', '0.2', '1e9', '8 GiB each', 'Infinity', '9000000TiB', '3iB'])(
    '%j is none',
    text => {
      expect(() => parseBytes('budget', text)).toThrow(/^budget: expected a size such as 8GiB/);
    },
  );

  test('what is printed can be read', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 2 ** 45 }), bytes => {
        const text = formatBinaryBytes(bytes);
        expect(text).toMatch(/^\d+(\.\d+)? ([KMGT]i)?B$/);
        expect(Math.abs(parseBytes('size', text) / bytes - 1)).toBeLessThan(0.006);
      }),
    );
    expect(formatBytesIn('MiB', 10216.4 * 2 ** 20)).toBe('10,216.4');
  });
});

describe.each(['60m', '130m', '350m', '1b', '7b'])('budgets for llama_%s', name => {
  const plans = [1, 2, 4, 8, 16, 24, 48, 80].map(budget =>
    plan({ ...model(name, 1, 256), ...FEW, budget: `${budget}GiB`, backend: 'tensorflow' }),
  );

  test('the choice fits, and the candidates before it do not', () => {
    for (const { choice, candidates, limitBytes, reasons, advice } of plans) {
      const before = choice === null ? candidates : candidates.slice(0, candidates.indexOf(choice));
      for (const each of before) expect(each.memory.peakBytes).toBeGreaterThan(limitBytes!);
      if (choice !== null) expect(choice.memory.peakBytes).toBeLessThanOrEqual(limitBytes!);
      else expect(advice.length).toBeGreaterThan(0);
      expect(reasons.length).toBeGreaterThan(0);
    }
  });

  test('more memory is never used for less state', () => {
    const places = plans.map(({ choice, candidates }) => (choice === null ? Infinity : candidates.indexOf(choice)));
    expect(places).toEqual([...places].sort((a, b) => b - a));
    // 80 GiB are enough for something, and for everything but the largest model.
    if (name === '7b') expect(plans.at(-1)!.choice?.density).toBe(0.25);
    else expect(plans.at(-1)!.choice?.label).toBe('AdamW');
  });
});

test('the projector liked best is taken, and one that costs more only if it is liked better', () => {
  const options = { ...model('1b'), backend: 'cpu', budget: '20GiB' };
  const first = plan({ ...options, projectors: ['rows', 'svd'] }).choice!;
  expect(first).toMatchObject({ recipe: 'frugal', projector: 'rows', options: { projector: 'rows' } });
  const second = plan({ ...options, projectors: ['svd', 'rows'], densities: [first.density!, 0] }).candidates[0]!;
  expect(second.projector).toBe('svd');
  expect(second.memory.stateBytes).toBeGreaterThan(first.memory.stateBytes);
  const between = (first.memory.peakBytes + second.memory.peakBytes) / 2;
  const narrow = plan({
    ...options,
    budget: Math.round(between),
    projectors: ['svd', 'rows'],
    densities: [first.density!],
  });
  expect(narrow.choice!.projector).toBe('rows');
  expect(narrow.reasons.join('\n')).toMatch(/FRUGAL svd ρ=[\d.]+: everything would take/);
});

test('what the advice names fits, and no larger batch does', () => {
  const options = { ...model('130m', 8, 256), backend: 'cpu', budget: '2.2GiB', ...FEW };
  const { choice, advice } = plan(options);
  expect(choice?.label ?? null).not.toBe('AdamW');
  const batch = Number(/--batch (\d+) instead of 8/.exec(advice.join(' '))![1]);
  const retry = (rows: number) => plan({ ...options, batch: rows });
  const label = /^(.*) fits with --batch/m.exec(advice.join('\n'))![1];
  const fitting = (rows: number) => retry(rows).candidates.find(each => each.label === label)!.fits;
  expect(fitting(batch)).toBe(true);
  expect(fitting(batch + 1)).toBe(false);
});

test('layers computed again make room: the advice says so where it is true', () => {
  const options = { ...model('60m', 8, 256), ...FEW, backend: 'wasm', budget: '1500MiB' };
  const { choice, advice } = plan(options);
  expect(choice).toBeNull();
  const label = /^(.*) fits with --recompute/m.exec(advice.join('\n'))![1];
  const again = plan({ ...options, recompute: true });
  expect(again.choice!.label).toBe(label);
  expect(again.advice.join()).not.toContain('--recompute');
  expect(plan({ ...options, budget: '400MiB' }).advice.join()).not.toContain('--recompute');
});

test('nothing fits: shorter rows, frozen parts, a smaller model', () => {
  const tight = plan({ ...model('60m', 4, 1024), ...FEW, backend: 'cpu', budget: '700MiB' });
  expect(tight.choice).toBeNull();
  const [, batch, length] = /--batch (\d+)(?: --length (\d+))? instead/.exec(tight.advice.join(' '))!;
  const again = plan({
    ...model('60m', Number(batch), Number(length ?? 1024)),
    ...FEW,
    backend: 'cpu',
    budget: '700MiB',
  });
  expect(again.choice).not.toBeNull();

  const options = { ...model('60m', 1, 16), ...FEW, backend: 'cpu', budget: '500MiB' };
  const { choice, advice } = plan(options);
  expect(choice).toBeNull();
  expect(advice.join('\n')).toMatch(/if embedding and output layer are frozen/);
  expect(plan({ ...options, frozen: /embed_tokens|lm_head/ }).choice).not.toBeNull();
  const smaller = /The largest preset that fits, with a batch of one row, is llama_(\w+)/.exec(advice.join('\n'))![1]!;
  expect(plan({ ...options, config: preset(smaller) }).choice).not.toBeNull();
});

describe('limits of backends', () => {
  test("wasm's heap holds besides the budget", () => {
    const { choice, reasons, limitBytes } = plan({ ...model('1b', 1), ...FEW, budget: '80GiB', backend: 'wasm' });
    expect(limitBytes).toBe(3.5 * GIB);
    expect(choice).toBeNull();
    expect(reasons[0]).toContain("wasm's heap of 4 GiB");
    expect(plan({ ...model('130m', 1), ...FEW, backend: 'wasm' }).choice?.label).toBe('AdamW');
    expect(limitsOf({ budget: '1GiB', backend: 'wasm' }).totalBytes).toBe(GIB);
    expect(limitsOf({ backend: 'cpu' }).totalBytes).toBeNull();
  });

  test('a tensor of WebGPU is one binding', () => {
    // 32000 × 1024 numbers are 125 MiB, 32000 × 2048 are 250 MiB.
    expect(plan({ ...model('350m'), ...FEW, backend: 'webgpu' }).choice?.label).toBe('AdamW');
    const refused = plan({ ...model('1b'), ...FEW, backend: 'webgpu' });
    expect(refused.choice).toBeNull();
    expect(refused.reasons[0]).toMatch(
      /model\.embed_tokens\.weight takes 250 MiB, more than WebGPU's limit .* 128 MiB/,
    );
    expect(refused.advice[0]).toContain('--max-tensor');
    expect(plan({ ...model('1b'), ...FEW, backend: 'webgpu', maxTensorBytes: '256MiB' }).choice?.label).toBe('AdamW');
    // Attention scores of long rows are larger than any weight.
    const long = plan({ ...model('130m', 8, 1024), ...FEW, backend: 'webgpu' });
    expect(long.reasons[0]).toMatch(/attention scores takes? 384 MiB/);
    expect(long.advice[0]).toContain('--length');
  });

  test('kernels update in place, operations of TensorFlow make what they compute', () => {
    const optimizer = recipe('adamW');
    const variables = [{ name: 'w', shape: [1024, 1024] }];
    const peak = (backend: string): number => memoryOf({ variables }, optimizer, limitsOf({ backend })).peakBytes;
    const tensor = 4 * 1024 * 1024;
    expect([peak('wasm'), peak('cpu'), peak('webgpu')]).toEqual([4 * tensor, 4 * tensor, 4 * tensor]);
    expect(peak('tensorflow')).toBe(10 * tensor);
  });
});

test('any other model, by its variables', () => {
  const variables = [
    { name: 'layers.0.kernel', shape: [512, 512] },
    { name: 'layers.1.kernel', shape: [512, 512] },
    { name: 'layers.1.bias', shape: [512] },
  ];
  const bytes = 4 * (2 * 512 * 512 + 512);
  const adamW = plan({ variables, backend: 'cpu' }).choice!;
  expect(adamW.label).toBe('AdamW');
  expect(adamW.memory).toMatchObject({ parameterBytes: bytes, gradientBytes: bytes, stateBytes: 2 * bytes });
  expect(adamW.memory.peakBytes).toBe(4 * bytes);
  const less = plan({ variables, backend: 'cpu', budget: 3 * bytes, activationBytes: 1000 }).choice!;
  expect(less.density).toBeGreaterThan(0);
  expect(less.density).toBeLessThan(0.5);
  const frozen = plan({ variables, backend: 'cpu', frozen: /layers\.0/ }).choice!.memory;
  expect(frozen.gradientBytes).toBe(bytes - 4 * 512 * 512);
  expect(frozen.stateBytes).toBe(2 * frozen.gradientBytes);
});

test('bad input is an error that names the option', () => {
  const options = model('60m');
  const cases: [object, RegExp][] = [
    [{ budget: '8G' }, /^budget: expected a size such as/],
    [{ maxTensorBytes: 'x' }, /^maxTensorBytes: expected a size/],
    [{ backend: 'cuda' }, /^backend: expected one of wasm, cpu, webgpu, tensorflow, found "?cuda/],
    [{ densities: [] }, /^densities: expected at least one/],
    [{ densities: [0.5, 2] }, /^densities: expected a number in \[0, 1\], found 2/],
    [{ projectors: ['svd', 'rwos'] }, /^projectors: expected some of rows, columns/],
    [{ projectors: [] }, /^projectors: expected at least one/],
    [{ batch: 0 }, /^batch: expected an integer of at least 1/],
    [{ length: 1.5 }, /^length: expected an integer/],
  ];
  for (const [bad, message] of cases) {
    const make = () => plan({ ...options, ...bad });
    expect(make).toThrow(FrugalError);
    expect(make).toThrow(message);
  }
  expect(() => plan({ variables: [] })).toThrow(/^variables: expected at least one/);
  expect(() => plan({ variables: [{ name: 'w', shape: [2, 2] }], activationBytes: -1 })).toThrow(/^activationBytes:/);
});

describe('the command', () => {
  const folder = mkdtempSync(join(tmpdir(), 'frugal-memory-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  async function memory(...args: string[]) {
    let [stdout, stderr] = ['', ''];
    const code = await runCommand(['memory', ...args], {
      stdout: { write: text => (stdout += text) },
      stderr: { write: text => (stderr += text) },
    });
    return { code, stdout, stderr };
  }

  test('prints the tables and a plan, and writes the numbers', async () => {
    const json = join(folder, 'deep', 'memory.json');
    const { code, stdout, stderr } = await memory('--config', '60m', '--budget', '1.2GiB', '--json', json);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toContain('60m: 58,073,600 weights in 75 tensors, trained on 8 × 64 tokens');
    expect(stdout).toMatch(/^AdamW +443\.1 +[\d.]+ +1,[\d.]+ +no$/m);
    expect(stdout).toMatch(/^FRUGAL svd ρ=0\.25 +312\.3 /m);
    expect(stdout).toMatch(/^svd +[\d.]+ +[\d.]+ +312\.3 +[\d.]+$/m);
    expect(stdout).toMatch(
      /\nPlan: FRUGAL rows ρ=0\.\d+\n {2}frugal train --config 60m .*--projector rows --density 0\./,
    );
    for (const line of stdout.split('\n'))
      if (!line.includes('frugal train')) expect([...line].length).toBeLessThan(106);
    const written = JSON.parse(readFileSync(json, 'utf8'));
    expect(written.methods[0]).toMatchObject({ label: 'AdamW', memory: { stateBytes: 8 * 58_073_600 }, fits: false });
    expect(written.plan.choice.fits).toBe(true);
  });

  test('the proposed command line can be trained', async () => {
    const { stdout } = await memory(
      '--config',
      'nano',
      '--budget',
      '4.7MB',
      '--projectors',
      'blockwise',
      '--backend',
      'cpu',
    );
    const line = /^ {2}frugal (train .*)$/m.exec(stdout)?.[1];
    expect(line).toContain(`--set 'projector={"kind":"blockwise","options":{"density":`);
    const text = join(folder, 'text.txt');
    writeFileSync(text, 'a line of text, and one more\n'.repeat(400));
    const args = line!.match(/'[^']*'|\S+/g)!.map(each => each.replaceAll("'", ''));
    let stderr = '';
    const code = await runCommand([...args, '--steps', '2', '--sample', '0', '--data', text], {
      stdout: { write: () => {} },
      stderr: { write: part => (stderr += part) },
    });
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
  });

  test('a file with a configuration, and another vocabulary', async () => {
    const file = join(folder, 'model.json');
    const sizes = { hidden_size: 64, intermediate_size: 160, num_hidden_layers: 2, num_attention_heads: 2 };
    writeFileSync(file, JSON.stringify(sizes));
    const without = await memory('--config', file);
    expect(without.code).toBe(1);
    expect(without.stderr).toMatch(/vocab: expected the size of the vocabulary.*Give --vocab/);
    expect((await memory('--config', file, '--vocab', '100')).stdout).toContain('107,328 weights in 21 tensors');
    writeFileSync(file, JSON.stringify({ ...sizes, vocab_size: 300 }));
    expect((await memory('--config', file)).stdout).toContain('132,928 weights in 21 tensors');
    expect((await memory('--config', file, '--vocab', '400')).stdout).toContain('145,728 weights in 21 tensors');
  });

  test.each([
    [['--config', 'llama_2b'], 1, /config: expected a JSON file, the folder of a model, or one of llama_nano/],
    [['--config', '60m', '--budget', '8G'], 1, /budget: expected a size such as 8GiB/],
    [['--config', '60m', '--backend', 'gpu'], 1, /backend: expected one of wasm, cpu, webgpu, tensorflow/],
    [['--config', '60m', '--projectors', 'rows,svdd'], 1, /projectors: expected some of/],
    [['--config', '60m', '--length', '5000'], 1, /length: expected at most max_position_embeddings = 1024/],
    [['--config', '60m', '--batch', '0'], 2, /Expected an integer of at least 1/],
    [[], 2, /required option '--config <name>'/],
  ])('%j is refused', async (args, expected, message) => {
    const { code, stderr } = await memory(...args);
    expect(code).toBe(expected);
    expect(stderr).toMatch(message);
  });
});
