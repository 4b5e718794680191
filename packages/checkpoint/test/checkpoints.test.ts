import '@frugaljs/backend-wasm';
import { type ComposedOptimizer, recipe } from '@frugaljs/composer';
import * as tf from '@tensorflow/tfjs-core';
import { describe, expect, test } from 'vitest';
import { temporaryFolder } from '../../../tools/test-support/folders.js';
import { Checkpoints, MemoryStore } from '../src/index.js';
import { FolderStore } from '../src/node/index.js';
import { bitsOf, makeModel, stateBits, trainSteps } from './fixtures.js';

const SETTINGS = { learningRate: 0.01, updateGap: 3, density: 0.5 };

function make(): ComposedOptimizer {
  return recipe('frugal-columns', SETTINGS);
}

const STORES = { memory: () => new MemoryStore(), folder: () => new FolderStore(`${temporaryFolder()}/new/runs`) };

describe.each(Object.keys(STORES) as (keyof typeof STORES)[])('in a store of kind %s', kind => {
  test.each(['cpu', 'wasm'])('a run goes on bit for bit and leaks nothing (%s)', async backend => {
    await tf.setBackend(backend);
    const atStart = tf.memory().numTensors;
    const model = makeModel();
    const optimizer = make();
    const checkpoints = new Checkpoints({ store: STORES[kind]() });
    await checkpoints.prepare();
    trainSteps(model, optimizer, 0, 5);
    const state = { step: 5, model: model.parameters, optimizer, trainer: { losses: [0.1, Number.NaN, -0], at: 5 } };
    const saving = await checkpoints.save(state);
    const rest = trainSteps(model, optimizer, 5, 10);
    expect(await saving!.done).toBe('step-000005');
    const expected = { weights: bitsOf(model.parameters), state: await stateBits(optimizer) };
    optimizer.dispose();
    model.dispose();
    expect(tf.memory().numTensors).toBe(atStart);

    const again = makeModel(2);
    const other = make();
    const saved = await checkpoints.latest();
    const report = await saved!.restore({ model: again.parameters, optimizer: other });
    expect(report).toMatchObject({ step: 5, warnings: [], differences: [], untouched: [], droppedState: [] });
    expect(report.trainer).toEqual({ losses: [0.1, Number.NaN, -0], at: 5 });
    expect(report.keptState).toEqual(Object.keys(again.parameters));
    expect(trainSteps(again, other, 5, 10)).toEqual(rest);
    expect({ weights: bitsOf(again.parameters), state: await stateBits(other) }).toEqual(expected);
    other.dispose();
    again.dispose();
    expect(tf.memory().numTensors).toBe(atStart);
  });
});
