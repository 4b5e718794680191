import { InvalidOptionError } from '@frugaljs/core';
import * as tf from '@tensorflow/tfjs-core';
import { beforeAll, describe, expect, test } from 'vitest';
import { Checkpoints, MemoryStore } from '../src/index.js';
import '@tensorflow/tfjs-backend-cpu';

beforeAll(async () => {
  await tf.setBackend('cpu');
});

const store = () => new MemoryStore();
const model = () => ({ w: tf.tensor1d([1, 2]) });
const save = (state: object, options?: object) =>
  new Checkpoints({ store: store() }).save(state as never, options as never);

describe('what is misspelled or of another kind is an error, and not left out of the checkpoint', () => {
  const cases: readonly [string, () => unknown, RegExp][] = [
    ['no options', () => new Checkpoints(undefined as never), /Checkpoints: expected an object with the options store/],
    ['a path for a store', () => new Checkpoints({ store: 'runs' as never }), /Checkpoints\.store: .*new FolderStore/],
    [
      'keep',
      () => new Checkpoints({ store: store(), keeplast: 2 } as never),
      /Checkpoints\.keeplast: .*Did you mean keepLast\?/,
    ],
    ['a misspelled optimizer', () => save({ step: 1, model: model(), optimiser: null }), /Did you mean optimizer\?/],
    ['one tensor', () => save({ step: 1, model: tf.tensor1d([1]) }), /save\.model: expected tensors by name/],
    ['a list', () => save({ step: 1, model: [tf.tensor1d([1])] }), /save\.model: expected tensors by name/],
    ['numbers', () => save({ step: 1, model: { w: [1, 2] } }), /save\.model\.w: expected a tensor/],
    ['no model', () => save({ step: 1 }), /save\.model: expected tensors by name/],
    ['a misspelled option', () => save({ step: 1, model: model() }, { whilebusy: 'wait' }), /mean whileBusy\?/],
    ['another choice', () => save({ step: 1, model: model() }, { whileBusy: 'queue' }), /one of skip, wait/],
  ];
  test.each(cases)('%s', async (_, action, message) => {
    const acting = (async () => action())();
    await expect(acting).rejects.toThrow(InvalidOptionError);
    await expect(acting).rejects.toThrow(message);
  });

  test('on restoring', async () => {
    const checkpoints = new Checkpoints({ store: store() });
    await checkpoints.save({ step: 1, model: model() });
    const saved = (await checkpoints.latest())!;
    await expect(saved.restore({ modle: {} } as never)).rejects.toThrow(/restore\.modle: .*Did you mean model\?/);
  });
});

test('the latest and the best are those that were saved, also while they are being written', async () => {
  const checkpoints = new Checkpoints({ store: store() });
  expect(await checkpoints.latest()).toBeNull();
  await checkpoints.save({ step: 1, model: model(), metric: 2 });
  expect((await checkpoints.latest())?.step).toBe(1);
  const saving = checkpoints.save({ step: 2, model: model(), metric: 3 });
  expect((await checkpoints.best())?.step).toBe(1);
  expect((await checkpoints.latest())?.step).toBe(2);
  await saving;
});
