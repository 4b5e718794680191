import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Checkpoints, crc32, MemoryStore } from '@frugaljs/checkpoint';
import { FolderStore } from '@frugaljs/checkpoint/node';
import { fill, setBackend, type Tensor, variable, zeros } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import '@tensorflow/tfjs-backend-cpu';

const folder = mkdtempSync(path.join(tmpdir(), 'frugal-saves-'));

beforeAll(() => setBackend('cpu'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('settled() rejects when the save that it waits for fails', async () => {
  const file = path.join(folder, 'a-file');
  writeFileSync(file, '');
  const checkpoints = new Checkpoints({ store: new FolderStore(path.join(file, 'run')), onWarning: () => {} });
  await checkpoints.save({ step: 1, model: { w: variable(zeros([2, 2])) } });
  await expect(checkpoints.settled()).rejects.toThrow('a-file');
});

const model = (value: number): { w: Tensor } => ({ w: fill([4], value) });
const quiet = { onWarning: () => {} };

it('of two runs in one folder one is refused, and the other keeps its checkpoints', async () => {
  const run = path.join(folder, 'two-runs');
  const runs = [1, 2].map(() => new Checkpoints({ store: new FolderStore(run), keepLast: 1, keepBest: 0, ...quiet }));
  const save = async (checkpoints: Checkpoints, step: number): Promise<string> =>
    (await checkpoints.save({ step, model: model(step) }))!.done;
  await save(runs[0]!, 1);
  await expect(save(runs[1]!, 2)).rejects.toThrow(/held by process/);
  expect((await runs[1]!.latest())!.step).toBe(1);
});

it('a byte flipped between latest() and restore() is not loaded', async () => {
  const run = path.join(folder, 'flipped');
  const checkpoints = new Checkpoints({ store: new FolderStore(run), ...quiet });
  await (await checkpoints.save({ step: 1, model: model(5) }))!.done;
  const saved = (await checkpoints.latest())!;
  const file = path.join(run, 'step-000001/model.safetensors');
  const bytes = readFileSync(file);
  bytes[bytes.length - 1]! ^= 1;
  writeFileSync(file, bytes);
  const w = variable(zeros([4]));
  await expect(saved.restore({ model: { w } })).rejects.toThrow('model.safetensors');
  expect([...w.dataSync()]).toEqual([0, 0, 0, 0]);
});

it('a file named __proto__ is refused, not left out', async () => {
  const checkpoints = new Checkpoints({ store: new MemoryStore() });
  const files = JSON.parse('{"__proto__":"x"}') as Record<string, string>;
  await expect(checkpoints.save({ step: 1, model: model(1), files })).rejects.toThrow('save.files');
});

it('a state nested too deep to be read is refused on saving', async () => {
  const checkpoints = new Checkpoints({ store: new MemoryStore() });
  let trainer: unknown = 1;
  for (let i = 0; i < 70; i++) trainer = [trainer];
  await expect(checkpoints.save({ step: 1, model: model(1), trainer })).rejects.toThrow('save.trainer');
});

it('a forged sequence does not make later saves the older ones', async () => {
  const run = path.join(folder, 'forged');
  const store = new FolderStore(run);
  const options = { store, keepLast: 2, keepBest: 0, ...quiet };
  await (await new Checkpoints(options).save({ step: 1, model: model(1) }))!.done;
  const file = path.join(run, 'step-000001/checkpoint.json');
  const { manifest } = JSON.parse(readFileSync(file, 'utf8')) as { manifest: object };
  const forged = { ...manifest, sequence: Number.MAX_SAFE_INTEGER };
  const seal = crc32(new TextEncoder().encode(JSON.stringify(forged)));
  writeFileSync(file, JSON.stringify({ crc32: seal.toString(16).padStart(8, '0'), manifest: forged }));
  const checkpoints = new Checkpoints(options);
  for (const step of [2, 3, 4]) await (await checkpoints.save({ step, model: model(step) }))!.done;
  expect((await checkpoints.latest())!.step).toBe(4);
  expect(readdirSync(run)).toEqual(expect.arrayContaining(['step-000003', 'step-000004']));
});

it.skipIf(process.platform === 'win32')('a pipe in the place of a file does not keep latest() waiting', () => {
  const run = path.join(folder, 'piped/step-000001');
  mkdirSync(run, { recursive: true });
  spawnSync('mkfifo', [path.join(run, 'checkpoint.json')]);
  const code = `
    import { Checkpoints } from '@frugaljs/checkpoint';
    import { FolderStore } from '@frugaljs/checkpoint/node';
    const store = new FolderStore(${JSON.stringify(path.dirname(run))});
    console.log('latest:', await new Checkpoints({ store, onWarning: () => {} }).latest());
    process.exit();`;
  const flags = ['--conditions=@frugaljs/source', '--conditions=source', '--import', import.meta.resolve('tsx')];
  const { stdout } = spawnSync(process.execPath, [...flags, '--input-type=module', '--eval', code], {
    encoding: 'utf8',
    timeout: 20_000,
    cwd: import.meta.dirname,
  });
  expect(stdout).toContain('latest: null');
});
