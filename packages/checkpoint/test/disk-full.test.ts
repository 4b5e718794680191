import { mkdirSync, readdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { afterEach, describe, expect, test } from 'vitest';
import { makeReadOnly, smallDisk, temporaryFolder } from '../../../tools/test-support/folders.js';
import { type CheckpointStorageError, Checkpoints } from '../src/index.js';
import { FolderStore } from '../src/node/index.js';
import { contentsOf } from './contents.js';
import { bitsOf } from './fixtures.js';
import '@tensorflow/tfjs-backend-cpu';

afterEach(() => tf.disposeVariables());

const kilobytes = (count: number, value: number): { w: tf.Variable } => ({
  w: tf.variable(tf.fill([256 * count], value), true, 'w'),
});

describe('a file system of 1 MB', () => {
  test('when it is full, the error says so, drafts are gone and what was saved stays', async context => {
    const place = smallDisk('1m');
    if ('reason' in place) return skip(context, place.reason);
    await tf.setBackend('cpu');
    const store = new FolderStore(`${place.folder}/run`);
    const checkpoints = new Checkpoints({ store, keepLast: 3 });
    await checkpoints.prepare();
    const model = kilobytes(400, 1);
    const save = async (step: number): Promise<string> => {
      model.w.assign(tf.fill(model.w.shape, step));
      return (await checkpoints.save({ step, model, trainer: { step } }))!.done;
    };
    expect([await save(1), await save(2)]).toEqual(['step-000001', 'step-000002']);
    const { bavail } = statfsSync(place.folder);
    const failure: CheckpointStorageError = await save(3).then(
      () => new Error('the disk was not full'),
      error => error,
    );
    expect(failure).toMatchObject({ code: 'checkpoint-storage', fault: 'full' });
    expect(failure.message).toMatch(
      /: expected room for a checkpoint, found a full disk \(ENOSPC\)\. Free some space, keep fewer/,
    );
    expect(contentsOf(store.location)).toEqual(['step-000001', 'step-000002']);
    expect(statfsSync(place.folder).bavail).toBe(bavail);
    await expect(checkpoints.settled()).rejects.toBe(failure);

    // Nothing is lost: the last one loads, and once there is room the next one is saved.
    const latest = (await checkpoints.latest())!;
    await latest.restore({ model });
    expect(bitsOf(model)).toEqual(bitsOf({ w: tf.fill([400 * 256], 2) }));
    rmSync(`${store.location}/step-000001`, { recursive: true });
    expect(await save(3)).toBe('step-000003');
    await checkpoints.settled();
    expect((await checkpoints.latest())!.step).toBe(3);
  });

  for (const [when, place] of [
    ['writing', '.lease/abc/.draft-abcdef01-abcdef012345'],
    ['removing', '.removed-abcdef01-abcdef012345'],
  ]) {
    test(`what a killed run was ${when} when it was full is removed before anything is written`, async context => {
      const disk = smallDisk('1m');
      if ('reason' in disk) return skip(context, disk.reason);
      await tf.setBackend('cpu');
      const left = `${disk.folder}/${place}`;
      mkdirSync(left, { recursive: true });
      if (when === 'writing') writeFileSync(`${disk.folder}/.lease/abc/holder.json`, await recordOfTheDead());
      expect(() => writeFileSync(`${left}/model.safetensors`, new Uint8Array(2 ** 21))).toThrow('ENOSPC');
      expect(statfsSync(disk.folder).bavail).toBe(0);
      const run = new Checkpoints({ store: new FolderStore(disk.folder) });
      await (await run.save({ step: 1, model: kilobytes(400, 1) }))!.done;
      await run.release();
      expect(readdirSync(disk.folder)).toEqual(['step-000001']);
    });
  }

  test('a folder that is read-only is found out before training, and can still be loaded from', async context => {
    const place = smallDisk('4m');
    if ('reason' in place) return skip(context, place.reason);
    await tf.setBackend('cpu');
    const checkpoints = new Checkpoints({ store: new FolderStore(place.folder) });
    const model = kilobytes(10, 7);
    await checkpoints.save({ step: 1, model });
    await checkpoints.settled();
    makeReadOnly(place.folder);
    const refusal = { code: 'checkpoint-storage', fault: 'not-writable', message: expect.stringContaining('EROFS') };
    await expect(checkpoints.prepare()).rejects.toMatchObject(refusal);
    await expect((await checkpoints.save({ step: 2, model }))!.done).rejects.toMatchObject(refusal);
    expect((await checkpoints.latest())!.step).toBe(1);
  });
});

/** What a process that is gone leaves in its lease. */
async function recordOfTheDead(): Promise<string> {
  const folder = temporaryFolder();
  const lease = await new FolderStore(folder).acquire(() => {});
  const path = `${folder}/.lease/${readdirSync(`${folder}/.lease`)[0]}/holder.json`;
  const record = JSON.parse(readFileSync(path, 'utf8')) as { readonly task: string };
  await lease.release();
  return JSON.stringify({ ...record, task: record.task.replace(/ \d+$/, ' 1') });
}

function skip(context: { skip(): void }, reason: string): void {
  console.log(`Skipped: ${reason}`);
  context.skip();
}
