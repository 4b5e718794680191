import * as tf from '@tensorflow/tfjs-core';
import { IDBFactory } from 'fake-indexeddb';
import { beforeAll, expect, test } from 'vitest';
import { type CheckpointStore, Checkpoints, IndexedDbStore, MemoryStore } from '../src/index.js';
import { SCENARIOS, tryAll } from './fault-points.js';
import { faultyStore, type StoreFault } from './faulty-store.js';
import '@tensorflow/tfjs-backend-cpu';
import 'fake-indexeddb/auto';

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

const STORES: readonly (readonly [string, () => CheckpointStore])[] = [
  ['memory', () => new MemoryStore()],
  ['IndexedDB', () => new IndexedDbStore('x', new IDBFactory())],
];

const weight = (step: number): { w: tf.Tensor } => ({ w: tf.fill([4], step) });

/** Saves 1 and 2 without a fault, then prepares, saves 3, restores it and lets the store go, on the faulty one. */
async function attempt(store: CheckpointStore, fault: StoreFault): Promise<string[]> {
  const before = new Checkpoints({ store, keepLast: 2, keepBest: 0 });
  for (const step of [1, 2]) await (await before.save({ step, model: weight(step) }))!.done;
  await before.release();
  const problems: string[] = [];
  const run = new Checkpoints({ store: faultyStore(store, fault), keepLast: 2, keepBest: 0, onWarning: () => {} });
  let least = 2;
  const w = tf.variable(tf.fill([4], -1));
  try {
    await run.prepare();
    await (await run.save({ step: 3, model: weight(3) }))!.done;
    least = 3;
    await (await run.latest())!.restore({ model: { w } });
    if (w.dataSync()[0] !== 3) problems.push('another step was restored');
  } catch (error) {
    if (!`${error}`.includes('injected')) problems.push(`${error}`);
    if (![-1, 3].includes(w.dataSync()[0]!)) problems.push('half was restored');
  }
  await run.release().catch(error => {
    if (!`${error}`.includes('injected')) problems.push(`${error}`);
  });
  const after = new Checkpoints({
    store,
    keepLast: 2,
    keepBest: 0,
    onWarning: line => problems.push(line),
  });
  for (const each of await after.list()) await each.verify();
  const latest = (await after.latest())!;
  if (latest.step < least || latest.step > 3) problems.push(`the latest is ${latest.step}, and not ${least}`);
  await (await after.save({ step: 4, model: weight(4) }))!.done;
  if ((await after.latest())!.step !== 4) problems.push('a later save is not the latest');
  await after.release();
  return problems;
}

test.each(STORES)('%s: whichever call of the store fails, the same', async (name, make) => {
  const whole: StoreFault = { at: -1, isMade: false, calls: 0 };
  const problems = await attempt(make(), whole);
  for (const isMade of [false, true]) {
    for (let at = 0; at < whole.calls; at++) {
      const found = await attempt(make(), { at, isMade, calls: 0 });
      problems.push(...found.map(problem => `call ${at}${isMade ? ', made' : ''}: ${problem}`));
    }
  }
  console.log(`${name}: ${2 * whole.calls} faults at ${whole.calls} calls`);
  expect(problems).toEqual([]);
  expect(whole.calls).toBeGreaterThan(20);
});
