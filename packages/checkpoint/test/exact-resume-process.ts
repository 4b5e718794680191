// One part of a run, in a process of its own: BACKEND `first` FOLDER trains every recipe at once and, anew, its first
// half, which it saves; BACKEND `second` FOLDER goes on from there. Prints what came out as JSON, by recipe.
import '@frugaljs/backend-wasm';
import { type ComposedOptimizer, listRecipes, recipe } from '@frugaljs/composer';
import * as tf from '@tensorflow/tfjs-core';
import { Checkpoints } from '../src/index.js';
import { FolderStore } from '../src/node/index.js';
import { bitsOf, makeModel, stateBits, trainSteps } from './fixtures.js';

/** Rounds of two accumulated batches; the save falls between the two of an update. */
const ROUNDS = 30;
const HALF = 15;

/** Subspaces last three updates, so that the 15 updates cross four refreshes. */
function make(name: string): ComposedOptimizer {
  const options = { learningRate: { kind: 'warmupCosine', options: { peak: 0.01, warmup: 4, total: 15, floor: 0.1 } } };
  const subspace = name.startsWith('frugal') || name === 'galore' ? { updateGap: 3, density: 0.5 } : {};
  const blocks = name === 'badam' ? { switchEvery: 3, density: 0.5 } : {};
  return recipe(name, { ...options, ...subspace, ...blocks, accumulate: 2, seed: 11 });
}

/** Everything that must be equal, bit for bit. */
export interface Outcome {
  readonly losses: readonly number[];
  readonly weights: Readonly<Record<string, string>>;
  readonly state: Readonly<Record<string, string>>;
}

async function outcome(
  model: ReturnType<typeof makeModel>,
  optimizer: ComposedOptimizer,
  losses: readonly number[],
): Promise<Outcome> {
  const result = { losses, weights: bitsOf(model.parameters), state: await stateBits(optimizer) };
  optimizer.dispose();
  model.dispose();
  return result;
}

async function atOnce(name: string): Promise<Outcome> {
  const [model, optimizer] = [makeModel(), make(name)];
  return outcome(model, optimizer, trainSteps(model, optimizer, 0, ROUNDS));
}

async function firstHalf(name: string, folder: string): Promise<void> {
  const [model, optimizer] = [makeModel(), make(name)];
  const checkpoints = new Checkpoints({ store: new FolderStore(`${folder}/${name}`) });
  const losses = trainSteps(model, optimizer, 0, HALF);
  await checkpoints.save({ step: optimizer.updates, model: model.parameters, optimizer, trainer: { losses } });
  await checkpoints.settled();
  optimizer.dispose();
  model.dispose();
}

async function secondHalf(name: string, folder: string): Promise<Outcome> {
  // Other weights, so that none can stay by luck.
  const [model, optimizer] = [makeModel(5), make(name)];
  const saved = await new Checkpoints({ store: new FolderStore(`${folder}/${name}`) }).latest();
  const { trainer, warnings } = await saved!.restore({ model: model.parameters, optimizer });
  if (warnings.length > 0) throw new Error(warnings[0]);
  const { losses } = trainer as unknown as { losses: number[] };
  return outcome(model, optimizer, [...losses, ...trainSteps(model, optimizer, HALF, ROUNDS)]);
}

const [backend, part, folder] = process.argv.slice(2) as [string, string, string];
await tf.setBackend(backend);
const outcomes: Record<string, Outcome> = {};
for (const name of listRecipes()) {
  if (part === 'second') outcomes[name] = await secondHalf(name, folder);
  else {
    outcomes[name] = await atOnce(name);
    await firstHalf(name, folder);
  }
}
process.stdout.write(JSON.stringify(outcomes));
