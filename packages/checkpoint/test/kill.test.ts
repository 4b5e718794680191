import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../../tools/test-support/folders.js';
import { killRepeatedly } from './killing.js';
import '@tensorflow/tfjs-backend-cpu';

// A thousand kills: node --conditions=@frugaljs/source --import tsx packages/checkpoint/bench/kill.ts
test('whatever moment a process is killed at whose two workers save, each folder holds its last complete state', async () => {
  await tf.setBackend('cpu');
  const { kills, intact, refused, problems } = await killRepeatedly(temporaryFolder(), 100, 1);
  expect(problems).toEqual([]);
  // Three folders; of one of them one worker was refused each time.
  expect([kills, intact, refused]).toEqual([100, 300, 100]);
}, 900_000);
