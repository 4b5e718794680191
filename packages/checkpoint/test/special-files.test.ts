import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../../tools/test-support/folders.js';
import { Checkpoints, InvalidCheckpointError } from '../src/index.js';
import { FolderStore, readWeights } from '../src/node/index.js';
import '@tensorflow/tfjs-backend-cpu';

const makePipe = (path: string): unknown => execFileSync('mkfifo', [path]);

describe.skipIf(process.platform === 'win32')('what is no regular file is not waited for', () => {
  test.each<[string, (path: string) => void]>([
    ['a pipe', path => makePipe(path)],
    ['a link to a pipe', path => symlinkSync(makePipeBeside(path), path)],
    ['a link to a device', path => symlinkSync('/dev/zero', path)],
    ['a folder', path => mkdirSync(path)],
  ])('%s in the place of a file of a checkpoint: the one before it is the latest', async (_, put) => {
    await tf.setBackend('cpu');
    const folder = temporaryFolder();
    const warnings: string[] = [];
    const store = new FolderStore(folder);
    const checkpoints = new Checkpoints({ store, keepLast: 9, onWarning: line => warnings.push(line) });
    const model = { w: tf.tensor1d([1]) };
    for (const step of [1, 2, 3]) await (await checkpoints.save({ step, model, trainer: {} }))!.done;
    for (const file of ['step-000003/checkpoint.json', 'step-000002/trainer.json']) {
      rmSync(`${folder}/${file}`);
      put(`${folder}/${file}`);
    }
    expect((await checkpoints.latest())!.step).toBe(1);
    expect(warnings).toEqual([
      expect.stringMatching(/^step-000003 is passed over: .*checkpoint\.json: expected a regular file, found a /),
      expect.stringMatching(/^step-000002 is passed over: .*trainer\.json: expected a regular file, found a /),
    ]);
    // A new run, which has yet to read what is there.
    const next = new Checkpoints({ store, keepLast: 9, onWarning: () => {} });
    await (await next.save({ step: 4, model }))!.done;
    expect((await next.latest())!.step).toBe(4);
  });

  function makePipeBeside(path: string): string {
    makePipe(`${path}.pipe`);
    return `${path}.pipe`;
  }

  test('weights and their index', async () => {
    const folder = temporaryFolder();
    for (const name of ['model.safetensors', 'model.safetensors.index.json']) {
      const path = `${folder}/${name}`;
      makePipe(path);
      await expect(readWeights(folder)).rejects.toThrow(InvalidCheckpointError);
      await expect(readWeights(path)).rejects.toThrow('expected a regular file, found a pipe');
      rmSync(path);
    }
  });

  test('a link to a regular file is read, as in the cache of a hub', async () => {
    await tf.setBackend('cpu');
    const folder = temporaryFolder();
    const checkpoints = new Checkpoints({ store: new FolderStore(folder) });
    await (await checkpoints.save({ step: 1, model: { w: tf.tensor1d([5]) } }))!.done;
    const path = `${folder}/step-000001/model.safetensors`;
    cpSync(path, `${folder}/blob`);
    rmSync(path);
    symlinkSync(`${folder}/blob`, path);
    expect((await checkpoints.latest())!.step).toBe(1);
    expect((await readWeights(`${folder}/step-000001`))['w']!.data).toEqual(Float32Array.of(5));
  });
});
