import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, expect, test } from 'vitest';
import { SCENARIOS, tryAll } from './fault-points.js';
import '@tensorflow/tfjs-backend-cpu';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

test.each(SCENARIOS.map(scenario => [scenario.name, scenario] as const))(
  'folder: %s: whichever call of the file system fails, what was reported is there, whole, and nothing else is visible',
  async (name, scenario) => {
    const { points, injected, survived, problems } = await tryAll(scenario);
    console.log(`${name}: ${injected} faults at ${points} calls, ${survived} of them without effect`);
    expect(problems.slice(0, 10)).toEqual([]);
    expect(points).toBeGreaterThan(9);
  },
  300_000,
);
