import { existsSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { loadPeft, type PeftFiles } from '@frugaljs/adapters';
import { readWeights } from '@frugaljs/checkpoint/node';
import { LlamaForCausalLM } from '@frugaljs/llama';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { worstError } from '../../../tools/test-support/closeness.js';
import { frugalHere, smallRun } from './support/command.js';

vi.setConfig({ testTimeout: 240_000 });

const { folder, flags, remove } = smallRun();
afterAll(remove);
beforeAll(() => process.chdir(folder));

const at = (...names: string[]): string => join(folder, ...names);
const json = (name: string) => JSON.parse(readFileSync(at(name), 'utf8'));
const train = (...args: string[]) => frugalHere('train', ...flags, '--sample', '0', '--eval-every', '5', ...args);

async function done(...args: string[]) {
  const outcome = await train(...args);
  expect(outcome).toMatchObject({ code: 0 });
  return outcome;
}

/** Stops a run after some steps by giving it no more, then lets it go on to the end. */
async function inTwo(name: string, first: string, args: readonly string[]): Promise<void> {
  await done('--save', `${name}-halves`, ...args, '--steps', first);
  const rest = ['--save-every', '1000', '--json', `${name}-halves.json`];
  const outcome = await frugalHere('train', '--resume', `${name}-halves`, '--steps', '24', ...rest);
  expect(outcome).toMatchObject({ code: 0 });
}

// The rate of a run depends on its length unless it is constant.
const SETTINGS = ['--schedule', 'constant', '--warmup', '3', '--lr', '0.01', '--lora', '3', '--lora-alpha', '6'];

describe('a run goes on bit for bit', () => {
  test.each([
    ['lora', ['--lora-targets', 'q_proj,v_proj,down_proj'], '10'],
    ['recomputed', ['--recompute', '--accumulate', '2'], '10'],
    // In the middle between two merges, and where one is due.
    ['relora', ['--relora', '6', '--relora-warmup', '2'], '10'],
    ['relora-due', ['--relora', '6'], '12'],
    ['relora-lion', ['--relora', '5', '--optimizer', 'lion'], '9'],
  ])('%s', async (name, options, first) => {
    const args = [...SETTINGS, ...options];
    await done('--save', `${name}-whole`, ...args, '--steps', '24', '--json', `${name}-whole.json`);
    await inTwo(name, first, args);
    const [whole, halves] = [json(`${name}-whole.json`), json(`${name}-halves.json`)];
    expect(whole.losses).toHaveLength(24);
    expect(halves.losses).toEqual(whole.losses);
    expect(halves.evaluations.at(-1)).toEqual(whole.evaluations.at(-1));
    for (const file of ['step-000024/model.safetensors', 'step-000024/optimizer.safetensors']) {
      expect(readFileSync(at(`${name}-halves`, file)).equals(readFileSync(at(`${name}-whole`, file)))).toBe(true);
    }
  });
});

describe('what a run leaves behind', () => {
  const args = [
    ...SETTINGS,
    '--steps',
    '12',
    '--keep-best',
    '0',
    '--keep-last',
    '1',
    '--save',
    'left',
    '--json',
    'left.json',
  ];

  beforeAll(async () => {
    await done('--steps', '2', '--save', 'base', '--optimizer', 'adamW', '--lr', '0.01');
    const { stdout, stderr } = await done('--weights', 'base/step-000002', ...args);
    expect(stdout).toContain(
      'The model with its adapters merged is in left/merged, the adapter for PEFT in left/adapter.',
    );
    expect(stderr).toMatch(/^Adapter {4}LoRA of rank 3 on 28 matrices, .* weights; all others are frozen$/m);
    expect(stderr).toMatch(/^Optimizer {2}adamW, /m);
  });

  test('files by the names of PEFT and transformers', () => {
    expect(readdirSync(at('left')).sort()).toEqual(['adapter', 'merged', 'step-000012']);
    expect(readdirSync(at('left', 'adapter')).sort()).toEqual(['adapter_config.json', 'adapter_model.safetensors']);
    expect(readdirSync(at('left', 'merged')).sort()).toEqual(['config.json', 'model.safetensors']);
    const config = JSON.parse(readFileSync(at('left', 'adapter', 'adapter_config.json'), 'utf8'));
    expect(config).toMatchObject({ r: 3, lora_alpha: 6, base_model_name_or_path: 'base/step-000002' });
    expect(json('left.json')).toMatchObject({ optimizer: 'adamW', adapter: { r: 3, loraAlpha: 6, relora: null } });
  });

  test('the weights are those it started from, and the adapter on them is the merged model', async () => {
    const base = await readWeights(at('base', 'step-000002'));
    const saved = await readWeights(at('left', 'step-000012'));
    for (const [name, { data }] of Object.entries(base)) expect(saved[name]!.data).toEqual(data);

    const config = JSON.parse(readFileSync(at('left', 'merged', 'config.json'), 'utf8'));
    const model = new LlamaForCausalLM(config);
    model.loadWeights(base);
    const files = Object.fromEntries(
      ['adapter_config.json', 'adapter_model.safetensors'].map(name => [
        name,
        readFileSync(at('left', 'adapter', name)),
      ]),
    ) as unknown as PeftFiles;
    const tokens = [[1, 2, 3, 4, 5, 6]];
    const before = model.forward(tokens).dataSync();
    const lora = await loadPeft(model, files);
    const adapted = model.forward(tokens).dataSync();
    expect(worstError(before, adapted)).toBeGreaterThan(0.01);
    lora.unload();
    model.loadWeights(await readWeights(at('left', 'merged')));
    expect(worstError(model.forward(tokens).dataSync(), adapted)).toBeLessThan(1e-5);
    model.dispose();
  });

  test('the merged model is one to train further; a checkpoint with adapters is none', async () => {
    await done('--weights', 'left/merged', '--steps', '1', '--no-save');
    const { code, stderr } = await train('--weights', 'left/step-000012', '--steps', '1', '--no-save');
    expect(code).not.toBe(0);
    expect(stderr).toContain('Take the folder `merged` beside it');
  });

  test('a longer run writes them anew, one that saves nothing does not', async () => {
    const before = readFileSync(at('left', 'merged', 'model.safetensors'));
    const outcome = await frugalHere('train', '--resume', 'left', '--steps', '13');
    expect(outcome).toMatchObject({ code: 0 });
    expect(readFileSync(at('left', 'merged', 'model.safetensors')).equals(before)).toBe(false);
    expect(readdirSync(at('left')).some(name => name.endsWith('.partial'))).toBe(false);
    rmSync(at('left', 'merged'), { recursive: true });
    await done(...SETTINGS, '--steps', '1', '--no-save');
    expect(existsSync(at('left', 'merged'))).toBe(false);
  });
});

test('ReLoRA learns with a rank above that of its adapters', async () => {
  await done('--steps', '1', '--save', 'start', '--optimizer', 'adamW');
  await done(
    '--weights',
    'start/step-000001',
    '--steps',
    '9',
    '--relora',
    '3',
    '--lora',
    '1',
    '--lr',
    '0.01',
    '--save',
    're',
  );
  const name = 'model.layers.0.mlp.up_proj.weight';
  const [before, after] = [await readWeights(at('start', 'step-000001')), await readWeights(at('re', 'merged'))];
  // An adapter for the model that the run began with there is not.
  expect(readdirSync(at('re')).filter(name => !name.startsWith('step-'))).toEqual(['merged']);
  const { shape, data } = after[name]!;
  const change = data.map((x, i) => x - before[name]!.data[i]!);
  expect(rank(change, shape[0]!, shape[1]!)).toBe(3);
});

/** How many rows are left by elimination, in float32 to four digits. */
function rank(values: Float32Array, rows: number, columns: number): number {
  const matrix = Array.from({ length: rows }, (_, i) => Array.from(values.subarray(i * columns, (i + 1) * columns)));
  const scale = values.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
  let found = 0;
  for (; found < Math.min(rows, columns); found++) {
    let [row, column] = [found, found];
    for (let i = found; i < rows; i++) {
      for (let j = found; j < columns; j++) {
        if (Math.abs(matrix[i]![j]!) > Math.abs(matrix[row]![column]!)) [row, column] = [i, j];
      }
    }
    const pivot = matrix[row]![column]!;
    if (Math.abs(pivot) < 1e-4 * scale) break;
    [matrix[found], matrix[row]] = [matrix[row]!, matrix[found]!];
    for (const each of matrix) [each[found], each[column]] = [each[column]!, each[found]!];
    for (let i = found + 1; i < rows; i++) {
      const factor = matrix[i]![found]! / pivot;
      for (let j = found; j < columns; j++) matrix[i]![j]! -= factor * matrix[found]![j]!;
    }
  }
  return found;
}

describe('options that make no sense together', () => {
  test.each([
    [['--lora-alpha', '16'], '--lora-alpha without --lora'],
    [['--lora-targets', 'q_proj'], '--lora-targets without --lora'],
    [['--lora', '4', '--relora-warmup', '3'], '--relora-warmup without --relora'],
    [['--relora', '4', '--relora-warmup', '4'], 'fewer updates than the 4 between two merges'],
    [['--lora', '0'], 'Expected an integer of at least 1'],
    [['--lora', '4', '--lora-targets', 'lm_head'], 'linear layers that can be adapted'],
    [['--relora', '4', '--optimizer', 'galore', '--set', 'rank=1'], 'which can be pruned entry by entry'],
  ])('%j', async (args, message) => {
    const { code, stderr } = await train('--steps', '2', '--no-save', ...args);
    expect(code).not.toBe(0);
    expect(stderr).toContain(message);
  });

  test('adapters on a run that goes on without', async () => {
    await done('--steps', '2', '--save', 'plain');
    const { code, stderr } = await frugalHere('train', '--resume', 'plain', '--lora', '4', '--steps', '4');
    expect(code).not.toBe(0);
    expect(stderr).toContain('start from a checkpoint of it: --weights plain/step-');
  });

  test('another scale than the checkpoint has', async () => {
    await done('--steps', '2', '--lora', '2', '--save', 'scaled');
    const { code, stderr } = await frugalHere('train', '--resume', 'scaled', '--lora-alpha', '32', '--steps', '4');
    expect(code).not.toBe(0);
    expect(stderr).toContain('adapter.loraAlpha');
  });
});

describe('frugal memory', () => {
  test('says what adapters take', async () => {
    const { code, stdout } = await frugalHere('memory', '--config', '60m', '--lora', '8', '--json', 'memory.json');
    expect(code).toBe(0);
    expect(stdout).toMatch(/^LoRA r=8, AdamW /m);
    const { methods } = json('memory.json');
    // A and B of 8 layers: r (in + out) for each of 7 matrices.
    const numbers = 8 * 8 * (4 * (512 + 512) + 3 * (512 + 1376));
    expect(methods[1].memory).toMatchObject({ gradientBytes: 4 * numbers, stateBytes: 8 * numbers });
    expect(methods[1].memory.peakBytes).toBeLessThan(methods[0].memory.peakBytes);
    const other = await frugalHere('memory', '--config', '60m', '--lora-targets', 'q_proj');
    expect(other.stderr).toContain('--lora-targets without --lora');
  });
});
