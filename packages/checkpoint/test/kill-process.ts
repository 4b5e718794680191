// Trains and saves every step in the folder given, for as long as it lives, going on from what it finds there. Each
// checkpoint holds the digest of its own model and optimizer, so that whoever restores it can tell whether all is there.
import { createHash } from 'node:crypto';
import { type ComposedOptimizer, recipe } from '@frugaljs/composer';
import * as tf from '@tensorflow/tfjs-core';
import { Checkpoints } from '../src/index.js';
import { FolderStore } from '../src/node/index.js';
import { bitsOf, type Model, makeModel, stateBits, trainSteps } from './fixtures.js';

/** About 0.6 MB per checkpoint: large enough to be hit in the middle of a file. */
const SHAPES = { 'a.weight': [256, 128], 'b.weight': [64, 256], 'model.norm.weight': [64] };

export function makeRun(): { model: Model; optimizer: ComposedOptimizer } {
  return { model: makeModel(1, SHAPES), optimizer: recipe('adamW', { learningRate: 0.001 }) };
}

/** A digest of values by name, in hexadecimal. */
export function digestOf(weights: Readonly<Record<string, string>>, state: Readonly<Record<string, string>>): string {
  const sorted = [weights, state].map(values => Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1)));
  return createHash('sha256').update(JSON.stringify(sorted)).digest('hex');
}

export function checkpointsIn(folder: string, onWarning?: (line: string) => void): Checkpoints {
  return new Checkpoints({ store: new FolderStore(folder), keepLast: 2, keepBest: 1, ...(onWarning && { onWarning }) });
}

async function main(folder: string): Promise<void> {
  await tf.setBackend('cpu');
  const run = makeRun();
  const checkpoints = checkpointsIn(folder);
  await checkpoints.prepare();
  const latest = await checkpoints.latest();
  const restored = await latest?.restore({ model: run.model.parameters, optimizer: run.optimizer });
  for (let step = restored?.step ?? 0; ; step++) {
    const [loss] = trainSteps(run.model, run.optimizer, step, step + 1);
    const trainer = { digest: digestOf(bitsOf(run.model.parameters), await stateBits(run.optimizer)) };
    const state = { step: step + 1, model: run.model.parameters, optimizer: run.optimizer, metric: loss!, trainer };
    const saving = await checkpoints.save(state, { whileBusy: 'wait' });
    // The next step is trained while this one is written.
    saving!.done.then(name => process.stdout.write(`${name}\n`));
  }
}

if (process.argv[1]?.endsWith('kill-process.ts')) await main(process.argv[2]!);
