import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Checkpoints } from '@frugaljs/checkpoint';
import { FolderStore } from '@frugaljs/checkpoint/node';
import { setBackend, variable, zeros } from '@tensorflow/tfjs-core';
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
