import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Checkpoints } from '@frugaljs/checkpoint';
import { FolderStore } from '@frugaljs/checkpoint/node';
import { fill, setBackend } from '@tensorflow/tfjs-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import '@tensorflow/tfjs-backend-cpu';

const folder = mkdtempSync(path.join(tmpdir(), 'frugal-reading-'));

beforeAll(() => setBackend('cpu'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('who reads while a run saves finds the latest, and not that there is none', async () => {
  const run = new Checkpoints({ store: new FolderStore(folder), keepLast: 1, keepBest: 0 });
  const save = async (step: number): Promise<string> => (await run.save({ step, model: { w: fill([2], step) } }))!.done;
  await save(1);
  const store = new FolderStore(folder);
  const open = store.open.bind(store);
  store.open = async name => {
    const stored = await open(name);
    // The next one is saved, and this one removed, before it is read.
    if (name === 'step-000001') await save(2);
    return stored;
  };
  const reader = new Checkpoints({ store, onWarning: () => {} });
  expect((await reader.latest())?.step).toBe(2);
});
