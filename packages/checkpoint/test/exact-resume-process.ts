// One part of a run, in a process of its own: BACKEND `first` FOLDER trains every recipe at once and, anew, its first
// half, which it saves; BACKEND `second` FOLDER goes on from there. Prints what came out as JSON, by recipe; where the
// backend cannot be had, why. More arguments name recipes to try instead of all.
import { type ComposedOptimizer, listRecipes, recipe } from '@frugaljs/composer';
import { selectBackend } from '@frugaljs/trainer/backend';
import type { Tensor } from '@tensorflow/tfjs-core';
import { Checkpoints } from '../src/index.js';
import { FolderStore } from '../src/node/index.js';
import { makeModel } from './fixtures.js';

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

/** What a process prints. */
export type Printed = { readonly outcomes: Readonly<Record<string, Outcome>> } | { readonly unavailable: string };

type Model = ReturnType<typeof makeModel>;

/** Bits of all values. Not by dataSync, which WebGPU does not have in Node. */
async function bitsOf(tensors: Readonly<Record<string, Tensor>>): Promise<Record<string, string>> {
  const bits: Record<string, string> = {};
  for (const [name, tensor] of Object.entries(tensors)) {
    const data = await tensor.data();
    bits[name] = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('hex');
  }
  return bits;
}

async function trainSteps(model: Model, optimizer: ComposedOptimizer, from: number, to: number): Promise<number[]> {
  const losses: number[] = [];
  for (let step = from; step < to; step++) {
    const cost = optimizer.minimize(() => model.loss(step), true, Object.values(model.parameters))!;
    losses.push((await cost.data())[0]!);
    cost.dispose();
  }
  return losses;
}

async function outcome(model: Model, optimizer: ComposedOptimizer, losses: readonly number[]): Promise<Outcome> {
  const state = Object.fromEntries((await optimizer.getWeights()).map(({ name, tensor }) => [name, tensor]));
  const result = { losses, weights: await bitsOf(model.parameters), state: await bitsOf(state) };
  optimizer.dispose();
  model.dispose();
  return result;
}

async function atOnce(name: string): Promise<Outcome> {
  const [model, optimizer] = [makeModel(), make(name)];
  return outcome(model, optimizer, await trainSteps(model, optimizer, 0, ROUNDS));
}

async function firstHalf(name: string, folder: string): Promise<void> {
  const [model, optimizer] = [makeModel(), make(name)];
  const checkpoints = new Checkpoints({ store: new FolderStore(`${folder}/${name}`) });
  const losses = await trainSteps(model, optimizer, 0, HALF);
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
  return outcome(model, optimizer, [...losses, ...(await trainSteps(model, optimizer, HALF, ROUNDS))]);
}

async function print(printed: Printed): Promise<never> {
  await new Promise(resolve => process.stdout.write(JSON.stringify(printed), resolve));
  // Dawn's threads would keep the process alive.
  process.exit(0);
}

const [backend, part, folder, ...names] = process.argv.slice(2) as [string, string, string, ...string[]];
try {
  await selectBackend(backend);
} catch (error) {
  // Those two need a driver or a library; the others are always there.
  if (!['webgpu', 'tensorflow'].includes(backend)) throw error;
  await print({ unavailable: (error as Error).message });
}
const outcomes: Record<string, Outcome> = {};
for (const name of names.length > 0 ? names : listRecipes()) {
  // Software drivers take their time: whoever waits sees that it goes on.
  process.stderr.write(`${backend} ${part}: ${name}\n`);
  if (part === 'second') outcomes[name] = await secondHalf(name, folder);
  else {
    outcomes[name] = await atOnce(name);
    await firstHalf(name, folder);
  }
}
await print({ outcomes });
