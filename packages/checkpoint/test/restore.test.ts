import { readFileSync, writeFileSync } from 'node:fs';
import '@frugaljs/backend-wasm';
import { type ComposedOptimizer, compose, frugal, recipe } from '@frugaljs/composer';
import type { Rule } from '@frugaljs/core';
import { adamW, lion } from '@frugaljs/state-full';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { temporaryFolder } from '../../../tools/test-support/folders.js';
import {
  bytesSource,
  CheckpointMismatchError,
  Checkpoints,
  CheckpointVersionError,
  copyCheckpoint,
  crc32,
  InvalidCheckpointError,
  MemorySink,
  MemoryStore,
  SavedCheckpoint,
  writeSafetensors,
} from '../src/index.js';
import { manifestText } from '../src/manifest.js';
import { FolderStore } from '../src/node/index.js';
import { bitsOf, type Model, makeModel, stateBits, trainSteps } from './fixtures.js';

beforeEach(async () => {
  await tf.setBackend('cpu');
});

afterEach(() => tf.disposeVariables());

const options = { learningRate: 0.01, updateGap: 3, density: 0.5 };

/** Saves a run of five steps, frees model and optimizer. */
async function savedRun(optimizer = frugal(options), model: Model = makeModel()): Promise<SavedCheckpoint> {
  const checkpoints = new Checkpoints({ store: new MemoryStore() });
  trainSteps(model, optimizer, 0, 5);
  await checkpoints.save({ step: 5, model: model.parameters, optimizer, trainer: { at: 5 } });
  await checkpoints.settled();
  optimizer.dispose();
  model.dispose();
  return (await checkpoints.latest())!;
}

/** The same checkpoint with other files. */
async function withFiles(
  saved: SavedCheckpoint,
  change: Readonly<Record<string, Uint8Array | string>>,
): Promise<SavedCheckpoint> {
  const bytes = new Map(
    Object.entries(change).map(([name, content]) => [
      name,
      typeof content === 'string' ? new TextEncoder().encode(content) : content,
    ]),
  );
  const files = Object.fromEntries(
    Object.entries(saved.manifest.files).map(([name, seal]) => {
      const content = bytes.get(name);
      return [
        name,
        content === undefined ? seal : { bytes: content.length, crc32: crc32(content).toString(16).padStart(8, '0') },
      ];
    }),
  );
  if (!bytes.has('checkpoint.json')) {
    bytes.set('checkpoint.json', new TextEncoder().encode(manifestText({ ...saved.manifest, files })));
  }
  const file = async (name: string) => (bytes.has(name) ? bytesSource(bytes.get(name)!, name) : saved.source(name));
  return SavedCheckpoint.from({ name: saved.name, file });
}

test('another composition is an error that shows the differences, and changes nothing', async () => {
  const saved = await savedRun();
  const model = makeModel(2);
  const optimizer = frugal({
    ...options,
    density: 0.25,
    stateFull: 'lion',
    learningRate: 0.02,
    clip: { globalNorm: 1 },
  });
  const before = {
    weights: bitsOf(model.parameters),
    state: await stateBits(optimizer),
    tensors: tf.memory().numTensors,
  };
  const failure = await saved.restore({ model: model.parameters, optimizer }).catch(error => error);
  expect(failure).toBeInstanceOf(CheckpointMismatchError);
  expect(failure.code).toBe('checkpoint-mismatch');
  expect(failure.differences).toEqual(
    expect.arrayContaining([
      { path: 'learningRate', saved: '0.01', now: '0.02' },
      { path: 'clip', saved: 'nothing', now: '{"globalNorm":1}' },
      { path: 'groups[0].use.options.projector.options.density', saved: '0.5', now: '0.25' },
      { path: 'groups[0].use.options.rule.kind', saved: '"adamW"', now: '"lion"' },
    ]),
  );
  expect(failure.message).toContain('step-000005: expected the model and composition it was saved from');
  expect(failure.message).toContain('\n  groups[0].use.options.rule.kind: saved "adamW", now "lion"');
  expect(failure.message).toContain('partial');
  expect({
    weights: bitsOf(model.parameters),
    state: await stateBits(optimizer),
    tensors: tf.memory().numTensors,
  }).toEqual(before);
  optimizer.dispose();
  model.dispose();
});

test('partial: another learning rate keeps all state', async () => {
  const saved = await savedRun();
  const model = makeModel(2);
  const optimizer = frugal({ ...options, learningRate: 0.5, weightDecay: 0.1 });
  const report = await saved.restore({ model: model.parameters, optimizer, partial: true });
  expect(report.differences.map(({ path }) => path)).toContain('learningRate');
  expect(report.keptState).toEqual(Object.keys(model.parameters));
  expect(report.droppedState).toEqual([]);
  expect(report.untouched).toEqual([]);
  expect(optimizer.updates).toBe(5);
  trainSteps(model, optimizer, 5, 8);
  optimizer.dispose();
  model.dispose();
});

test('a factor on the learning rate that was changed on the way is restored, and is no difference', async () => {
  const optimizer = frugal(options);
  optimizer.learningRateScale = 0.3;
  const saved = await savedRun(optimizer);
  const model = makeModel();
  const next = frugal(options);
  const report = await saved.restore({ model: model.parameters, optimizer: next });
  expect(report.differences).toEqual([]);
  expect(next.learningRateScale).toBe(0.3);
  next.dispose();
});

test('differences of the composition that the caller accepts are none; others, and those of the model, still are', async () => {
  const saved = await savedRun();
  const model = makeModel();
  const optimizer = frugal({ ...options, learningRate: 0.5 });
  const accept = ({ path }: { readonly path: string }): boolean => path === 'learningRate';
  const report = await saved.restore({ model: model.parameters, optimizer, accept });
  expect(report.differences).toEqual([]);
  expect(report.droppedState).toEqual([]);
  expect(optimizer.learningRate).toBe(0.5);
  const other = frugal({ ...options, learningRate: 0.5, updateGap: 4 });
  await expect(saved.restore({ model: model.parameters, optimizer: other, accept })).rejects.toMatchObject({
    differences: [{ path: expect.stringMatching(/every$/), saved: '3', now: '4' }],
  });
  const { [Object.keys(model.parameters)[0]!]: first, ...rest } = model.parameters;
  expect(first).toBeDefined();
  await expect(saved.restore({ model: rest, optimizer, accept: () => true })).rejects.toThrow(CheckpointMismatchError);
});

test('partial: what another rule trains starts afresh, the rest is kept bit for bit', async () => {
  const composed = (rule: Rule): ComposedOptimizer =>
    compose({ learningRate: 0.01, groups: [{ match: /norm/, use: adamW() }, { use: rule }] });
  const saved = await savedRun(composed(adamW()));
  const reader = (await saved.openOptimizer())!;
  const model = makeModel(2);
  const optimizer = composed(lion());
  const report = await saved.restore({ model: model.parameters, optimizer, partial: true });
  expect(report.keptState).toEqual(['model.norm.weight']);
  expect(report.droppedState).toEqual([
    { variable: 'model.layers.0.mlp.up_proj.weight', reason: 'trained by adamW, now by lion' },
    { variable: 'model.layers.1.mlp.down_proj.weight', reason: 'trained by adamW, now by lion' },
  ]);
  // Gradients of the variables that started afresh alone: the state of the third is taken over as it was.
  optimizer.applyGradients(
    Object.fromEntries(Object.entries(model.parameters).map(([name, { shape }]) => [name, tf.zeros(shape)])),
  );
  expect(optimizer.updates).toBe(6);
  const after = Object.fromEntries((await optimizer.getWeights()).map(({ name, tensor }) => [name, tensor]));
  const before = (await reader.read('model.norm.weight::m')).data as Float32Array;
  expect([...after['model.norm.weight::m']!.dataSync()]).toEqual(
    [...before].map(m => Math.fround(Math.fround(0.9) * m)),
  );
  expect([...after['model.layers.0.mlp.up_proj.weight::m']!.dataSync()].every(m => m === 0)).toBe(true);
  optimizer.dispose();
  model.dispose();
});

test('partial: state in a subspace is kept only with the seed it was drawn from', async () => {
  const saved = await savedRun(recipe('frugal-columns', { ...options, seed: 1 }));
  const model = makeModel(2);
  const optimizer = recipe('frugal-columns', { ...options, seed: 2 });
  const report = await saved.restore({ model: model.parameters, optimizer, partial: true });
  expect(report.keptState).toEqual(['model.norm.weight']);
  expect(new Set(report.droppedState.map(({ reason }) => reason))).toEqual(
    new Set(['its subspace was drawn from another seed']),
  );
  trainSteps(model, optimizer, 5, 8);
  optimizer.dispose();
  model.dispose();
});

test('partial: a parameter of another shape keeps its weights and starts its state afresh', async () => {
  const saved = await savedRun();
  const model = makeModel(2, {
    'model.layers.0.mlp.up_proj.weight': [12, 9],
    'model.layers.1.mlp.down_proj.weight': [6, 12],
    'model.final_norm.weight': [6],
  });
  const optimizer = frugal(options);
  const exact = await saved.restore({ model: model.parameters, optimizer }).catch(error => error);
  expect(exact.differences).toHaveLength(3);
  expect(exact.differences).toEqual(
    expect.arrayContaining([
      { path: 'model.norm.weight', saved: 'F32 [6]', now: 'nothing' },
      { path: 'model.layers.0.mlp.up_proj.weight', saved: 'F32 [12,8]', now: 'float32 [12,9]' },
      { path: 'model.final_norm.weight', saved: 'nothing', now: 'float32 [6]' },
    ]),
  );
  const before = bitsOf(model.parameters);
  const report = await saved.restore({ model: model.parameters, optimizer, partial: true });
  expect(report.loaded).toEqual(['model.layers.1.mlp.down_proj.weight']);
  expect(report.untouched).toEqual(['model.layers.0.mlp.up_proj.weight', 'model.final_norm.weight']);
  expect(report.keptState).toEqual([]);
  const after = bitsOf(model.parameters);
  for (const name of report.untouched) expect(after[name]).toBe(before[name]);
  expect(after[report.loaded[0]!]).not.toBe(before[report.loaded[0]!]);
  trainSteps(model, optimizer, 5, 8);
  optimizer.dispose();
  model.dispose();
});

test('weights alone, and a checkpoint without optimizer', async () => {
  const saved = await savedRun();
  const model = makeModel(2);
  const report = await saved.restore({ model: model.parameters });
  expect(report).toMatchObject({ keptState: [], differences: [], warnings: [] });
  const checkpoints = new Checkpoints({ store: new MemoryStore() });
  await checkpoints.save({ step: 5, model: model.parameters });
  await checkpoints.settled();
  const bare = (await checkpoints.latest())!;
  expect([await bare.trainer(), await bare.config(), await bare.openOptimizer()]).toEqual([null, null, null]);
  const optimizer = frugal(options);
  await expect(bare.restore({ model: model.parameters, optimizer })).rejects.toThrow(
    'optimizer: saved nothing, now an optimizer',
  );
  expect((await bare.restore({ model: model.parameters, optimizer, partial: true })).keptState).toEqual([]);
  optimizer.dispose();
  model.dispose();
});

// Their state has an order instead of names; that of Adam lacks the products of its bias corrections.
test.each<[string, () => tf.Optimizer, number]>([
  ['momentum', () => tf.train.momentum(0.01, 0.9), 0],
  ['adam', () => tf.train.adam(0.01), 1e-5],
])("tfjs's own %s is saved and restored too", async (_, make, tolerance) => {
  const whole = makeModel();
  const uninterrupted = make();
  trainSteps(whole, uninterrupted, 0, 8);
  const expected = Object.values(whole.parameters).map(variable => variable.dataSync().slice());
  uninterrupted.dispose();
  whole.dispose();
  const saved = await savedRun(make() as ComposedOptimizer);
  const again = makeModel(2);
  const optimizer = make();
  const { keptState } = await saved.restore({ model: again.parameters, optimizer });
  // None of these names says which variable the state is of.
  expect(keptState).toEqual([]);
  trainSteps(again, optimizer, 5, 8);
  Object.values(again.parameters).forEach((variable, i) => {
    const errors = variable.dataSync().map((value, k) => Math.abs(value - expected[i]![k]!));
    expect(Math.max(...errors)).toBeLessThanOrEqual(tolerance);
  });
  await expect(saved.restore({ model: again.parameters, optimizer: tf.train.adam(0.02) })).rejects.toThrow(
    'learningRate: saved 0.01, now 0.02',
  );
  optimizer.dispose();
  again.dispose();
});

test('another backend, or other kernels, are one warning, and the run goes on', async () => {
  const saved = await savedRun();
  await tf.setBackend('wasm');
  await go(
    frugal(options),
    /^step-000005 was saved on cpu \(kernels: .*\) and goes on on wasm \(kernels: .*\): the run continues/,
  );
  const fast = await savedRun();
  await go(
    frugal({ ...options, kernels: 'reference' }),
    /saved on wasm \(kernels: .*\) and goes on on wasm \(kernels: reference\)/,
    fast,
  );

  async function go(optimizer: ComposedOptimizer, warning: RegExp, from: SavedCheckpoint = saved): Promise<void> {
    const model = makeModel(2);
    const { warnings, keptState } = await from.restore({ model: model.parameters, optimizer });
    expect(warnings).toEqual([expect.stringMatching(warning)]);
    expect(keptState).toHaveLength(3);
    trainSteps(model, optimizer, 5, 8);
    optimizer.dispose();
    model.dispose();
  }
});

test('half precision and float64 weights of other programs are converted', async () => {
  const saved = await savedRun();
  const model = makeModel(2);
  const sink = new MemorySink();
  const size = 12 * 8;
  await writeSafetensors(sink, [
    {
      name: 'model.layers.0.mlp.up_proj.weight',
      dtype: 'BF16',
      shape: [12, 8],
      data: new Uint16Array(size).fill(0x3fc0),
    },
    {
      name: 'model.layers.1.mlp.down_proj.weight',
      dtype: 'F16',
      shape: [6, 12],
      data: new Uint16Array(72).fill(0x3e00),
    },
    { name: 'model.norm.weight', dtype: 'F64', shape: [6], data: new Float64Array(6).fill(1.5) },
  ]);
  const other = await withFiles(saved, { 'model.safetensors': sink.bytes() });
  await other.restore({ model: model.parameters });
  for (const variable of Object.values(model.parameters)) expect(new Set(variable.dataSync())).toEqual(new Set([1.5]));
  model.dispose();
});

test('a checkpoint of another version of the format is a typed error that says what to do', async () => {
  const saved = await savedRun();
  const text = manifestText({ ...saved.manifest, version: 2, future: true } as never);
  const failure = await withFiles(saved, { 'checkpoint.json': text }).catch(error => error);
  expect(failure).toBeInstanceOf(CheckpointVersionError);
  expect(failure.message).toMatch(
    /version: expected 1, found 2\. Use the version of @frugaljs\/checkpoint that wrote it/,
  );
});

test('a file that was altered, cut off or removed is named, and nothing changes', async () => {
  const saved = await savedRun();
  const model = makeModel(2);
  const before = bitsOf(model.parameters);
  const source = await saved.source('model.safetensors');
  const bytes = await source.read(0, source.size);
  const cases = new Map<Uint8Array | null, RegExp>([
    [bytes.slice(0, -1), /model\.safetensors: expected \d+, found \d+ bytes/],
    [bytes.map((byte, i) => (i === bytes.length - 1 ? byte ^ 1 : byte)), /model\.safetensors: crc32/],
    [null, /found no model\.safetensors/],
  ]);
  for (const [content, message] of cases) {
    const stored = {
      name: 'step-000005',
      file: async (name: string) =>
        name !== 'model.safetensors' ? saved.source(name) : content === null ? null : bytesSource(content, name),
    };
    const altered = await SavedCheckpoint.from(stored);
    const failure = await altered.restore({ model: model.parameters }).catch(error => error);
    expect(failure).toBeInstanceOf(InvalidCheckpointError);
    expect(failure.message).toMatch(message);
  }
  expect(bitsOf(model.parameters)).toEqual(before);
  model.dispose();
});

test('a byte flipped after latest() has verified the file is not loaded, and nothing changes', async () => {
  const folder = temporaryFolder();
  const checkpoints = new Checkpoints({ store: new FolderStore(folder) });
  const model = makeModel();
  await checkpoints.save({ step: 1, model: model.parameters });
  const latest = (await checkpoints.latest())!;
  const reader = await latest.openModel();
  const path = `${folder}/step-000001/model.safetensors`;
  const bytes = readFileSync(path);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(path, bytes);
  const before = bitsOf(model.parameters);
  const refusal = { code: 'invalid-checkpoint', message: expect.stringContaining('model.safetensors: crc32') };
  await expect(reader.read('model.norm.weight')).rejects.toMatchObject(refusal);
  await expect(latest.restore({ model: model.parameters })).rejects.toMatchObject(refusal);
  expect(bitsOf(model.parameters)).toEqual(before);
  await expect(copyCheckpoint(latest, new MemoryStore())).rejects.toMatchObject(refusal);
  await reader.close();
  model.dispose();
});

test('a byte flipped while restore() reads is not loaded', async () => {
  const saved = await savedRun();
  const whole = await saved.source('model.safetensors');
  const bytes = await whole.read(0, whole.size);
  // One read verifies, six are for the header: its length, itself, and what their pieces hold besides.
  let reads = 0;
  const changing = {
    ...bytesSource(bytes, 'model.safetensors'),
    read: async (offset: number, length: number) => {
      if (++reads === 8) bytes.fill(0x55, bytes.length - 8);
      return bytes.slice(offset, offset + length);
    },
  };
  const altered = await SavedCheckpoint.from({
    name: 'x',
    file: async name => (name === 'model.safetensors' ? changing : saved.source(name)),
  });
  const model = makeModel(2);
  const refused = altered.restore({ model: model.parameters, holdBytes: 0 });
  await expect(refused).rejects.toThrow(/model\.safetensors: crc32 up to byte/);
  model.dispose();
});

test('a file that fits into memory is read once, and every byte of it at that', async () => {
  const saved = await savedRun();
  const read: Record<string, number> = {};
  const counted = await SavedCheckpoint.from({
    name: 'x',
    file: async name => {
      const source = await saved.source(name);
      const count = async (offset: number, length: number) => {
        read[name] = (read[name] ?? 0) + length;
        return source.read(offset, length);
      };
      return { ...source, size: source.size, label: source.label, read: count };
    },
  });
  const model = makeModel(2);
  const size = saved.manifest.files['model.safetensors']!.bytes;
  await counted.restore({ model: model.parameters });
  expect(read['model.safetensors']).toBe(size);
  const weights = bitsOf(model.parameters);
  for (const variable of Object.values(model.parameters)) variable.assign(tf.zerosLike(variable));
  await counted.restore({ model: model.parameters, holdBytes: size - 1 });
  expect(read['model.safetensors']).toBeGreaterThanOrEqual(3 * size);
  expect(bitsOf(model.parameters)).toEqual(weights);
  await expect(counted.restore({ model: {}, holdBytes: -1 })).rejects.toThrow('restore.holdBytes');
  model.dispose();
});
