import * as tf from '@tensorflow/tfjs-core';
import { expect, test } from 'vitest';
import { temporaryFolder } from '../../../tools/test-support/folders.js';
import { killRepeatedly } from './killing.js';

// A hundred kills: node --conditions=@frugaljs/source --import tsx packages/checkpoint/bench/kill.ts
test('whatever moment a process that saves every step is killed at, the folder holds its last complete state', async () => {
  await tf.setBackend('cpu');
  const { kills, intact, problems } = await killRepeatedly(temporaryFolder(), 20, 1);
  expect(problems).toEqual([]);
  expect([kills, intact]).toEqual([20, 20]);
}, 300_000);
