import { renameSync } from 'node:fs';
import * as tf from '@tensorflow/tfjs-core';
import { IDBFactory } from 'fake-indexeddb';
import { beforeAll, expect, test } from 'vitest';
import { temporaryFolder } from '../../../tools/test-support/folders.js';
import { Checkpoints, IndexedDbStore, type StoredCheckpoint } from '../src/index.js';
import { FolderStore } from '../src/node/index.js';
import '@tensorflow/tfjs-backend-cpu';
import 'fake-indexeddb/auto';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const save = async (run: Checkpoints, step: number): Promise<string> =>
  (await run.save({ step, model: { w: tf.fill([2], step) }, metric: 1 / step }))!.done;

/** A store in which something happens before a file of a given name is opened. */
class WatchedStore extends FolderStore {
  before: (file: string) => Promise<void> = async () => {};

  override async open(name: string): Promise<StoredCheckpoint> {
    const stored = await super.open(name);
    return {
      name,
      file: async file => {
        await this.before(file);
        return stored.file(file);
      },
    };
  }
}

/** A run that keeps one checkpoint, and a reader of its folder who is told what is passed over. */
function runAndReader() {
  const folder = temporaryFolder();
  const run = new Checkpoints({ store: new FolderStore(folder), keepLast: 1 });
  const store = new WatchedStore(folder);
  const lines: string[] = [];
  return { folder, run, store, lines, reader: new Checkpoints({ store, onWarning: line => lines.push(line) }) };
}

const once = (file: string, act: () => Promise<unknown>) => {
  let isDone = false;
  return async (opened: string): Promise<void> => {
    if (isDone || opened !== file) return;
    isDone = true;
    await act();
  };
};

test.each(['checkpoint.json', 'model.safetensors'])(
  'what the run saves and removes while %s is opened leaves the reader with the latest, without a word',
  async file => {
    const { run, store, lines, reader } = runAndReader();
    await save(run, 1);
    store.before = once(file, () => save(run, 2));
    expect((await reader.latest())!.step).toBe(2);
    store.before = once(file, () => save(run, 3));
    expect((await reader.best())!.step).toBe(3);
    expect(lines).toEqual([]);
  },
);

test('one that is removed before it is restored is said to be gone, not altered', async () => {
  const { run, reader } = runAndReader();
  await save(run, 1);
  const saved = (await reader.latest())!;
  await save(run, 2);
  await expect(saved.restore({ model: { w: tf.variable(tf.zeros([2])) } })).rejects.toMatchObject({
    fault: 'missing',
    message: expect.stringMatching(/^checkpoint step-000001: .*removed from .* since it was opened\./),
  });
});

test('the same goes for a database', async () => {
  const factory = new IDBFactory();
  const [run, reader] = [1, 2].map(
    () => new Checkpoints({ store: new IndexedDbStore('reading', factory), keepLast: 1, keepBest: 0 }),
  );
  await save(run!, 1);
  const saved = (await reader!.latest())!;
  await save(run!, 2);
  await expect(saved.verify()).rejects.toMatchObject({ fault: 'missing' });
  expect((await reader!.latest())!.step).toBe(2);
});

test('a file that was taken out of one is told of, and the one before it is the latest', async () => {
  const { folder, lines, reader } = runAndReader();
  const run = new Checkpoints({ store: new FolderStore(folder), keepLast: 2 });
  await save(run, 1);
  await save(run, 2);
  renameSync(`${folder}/step-000002/model.safetensors`, `${folder}/elsewhere`);
  expect((await reader.latest())!.step).toBe(1);
  expect(lines).toEqual([expect.stringContaining('no model.safetensors')]);
});

test('a run that removes each while it is read is an error that says what to do', async () => {
  const { run, store, reader } = runAndReader();
  await save(run, 1);
  let step = 1;
  store.before = async file => {
    if (file === 'model.safetensors') await save(run, ++step);
  };
  await expect(reader.latest()).rejects.toMatchObject({
    fault: 'missing',
    message: expect.stringContaining('keepLast'),
  });
  expect(step).toBe(101);
});
