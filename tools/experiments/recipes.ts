/**
 * How do the recipes compare when all that is no hidden matrix is treated alike? Trains the small LLaMA of `npm start`: hidden
 * matrices by each recipe, everything else by AdamW at one rate. The rate of the hidden matrices is the best on one grid,
 * found on the first seed by climbing from the recipe's default.
 *
 *     npm run experiment:recipes -- [--steps 200] [--seeds 3] [--only fira,apollo] [--folder FOLDER]
 *
 * Each run is a file in the folder. A second call makes those that are missing, also beside another one, and prints the table
 * of all.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import {
  type ComposedOptimizer,
  type ComposeOptions,
  compose,
  compositionFromJson,
  type Group,
  listRecipes,
  PROJECTABLE,
  recipe,
  scheduleFree,
} from '@frugaljs/composer';
import { NonFiniteGradientError } from '@frugaljs/core';
import { LlamaForCausalLM } from '@frugaljs/llama';
import { adamW, rmsprop } from '@frugaljs/state-full';
import { setBackend } from '@tensorflow/tfjs-core';
import { openData } from '../../packages/trainer/src/cli/open-inputs.js';
import {
  comparisonModel,
  evaluate,
  RunRecord,
  trainingSchedule,
  trainingSteps,
  tunedMethod,
} from '../../packages/trainer/src/index.js';
import '@frugaljs/backend-wasm';

/** Learning rates of hidden matrices that a recipe may take. */
const GRID: readonly number[] = [1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1, 3];
/** The rate of AdamW on everything else. */
const REST_RATE = 3e-3;
const [BATCH, LENGTH] = [8, 64];

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    steps: { type: 'string', default: '200' },
    seeds: { type: 'string', default: '3' },
    only: { type: 'string', default: listRecipes().join() },
    folder: { type: 'string', default: '.cache/experiments/recipes' },
  },
});
const [steps, seeds] = [Number(values.steps), Number(values.seeds)];
mkdirSync(values.folder, { recursive: true });
await setBackend('wasm');
const opened = await openData({
  data: 'shakespeare',
  tokenizer: 'bytes',
  batch: BATCH,
  length: LENGTH,
  seed: 1,
  log: line => console.error(line),
});
const config = comparisonModel(opened.tokenizer.vocabSize);

/** What came of one run. A loss of null is one that diverged. */
interface Run {
  readonly name: string;
  readonly rate: number;
  readonly seed: number;
  readonly steps: number;
  readonly loss: number | null;
  readonly stateBytes: number;
  /** Median of the optimizer's part of a step. */
  readonly milliseconds: number | null;
}

for (const name of values.only.split(',').filter(each => each !== '')) {
  const rate = await bestRate(name);
  for (let seed = 2; seed <= seeds; seed++) await run(name, rate, seed);
}
print();

/** Climbs along the grid from the recipe's default until both neighbors are worse. */
async function bestRate(name: string): Promise<number> {
  const preferred = defaultRate(name);
  const distance = (rate: number): number => Math.abs(Math.log(rate / preferred));
  let at = GRID.indexOf(GRID.reduce((best, rate) => (distance(rate) < distance(best) ? rate : best)));
  for (;;) {
    const losses = new Map<number, number>();
    for (const i of [at - 1, at, at + 1]) {
      if (GRID[i] !== undefined) losses.set(i, (await run(name, GRID[i], 1)).loss ?? Number.POSITIVE_INFINITY);
    }
    const best = [...losses].reduce((a, b) => (b[1] < a[1] ? b : a))[0];
    if (best === at) return GRID[at]!;
    at = best;
  }
}

async function run(name: string, rate: number, seed: number): Promise<Run> {
  const file = join(values.folder, `${name}-${rate}-${seed}-${steps}.json`);
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as Run;
  } catch {
    // Not made yet.
  }
  const optimizer = optimizerFor(name, rate, seed);
  const model = new LlamaForCausalLM(config, { seed });
  const record = new RunRecord();
  let loss: number | null = null;
  try {
    for await (const step of trainingSteps({ model, optimizer, data: opened.dataset, steps })) record.add(step);
    const batches = opened.dataset.validationBatches(32);
    loss = await optimizer.withAveragedWeights(() => evaluate(model, batches));
    if (!Number.isFinite(loss)) loss = null;
  } catch (error) {
    if (!(error instanceof NonFiniteGradientError)) throw error;
  }
  const stateBytes = optimizer.memoryReport(model.parameters()).totalStateBytes;
  optimizer.dispose();
  model.dispose();
  const made: Run = { name, rate, seed, steps, loss, stateBytes, milliseconds: record.optimizerStep.median };
  // Whole or absent, also beside another process.
  writeFileSync(`${file}.${process.pid}`, JSON.stringify(made));
  renameSync(`${file}.${process.pid}`, file);
  console.error(`${name.padEnd(18)} rate ${rate} seed ${seed}: ${loss === null ? 'diverged' : loss.toFixed(4)}`);
  return made;
}

/** A recipe as `frugal compare` runs it: the group that trains hidden matrices, and the rate of the whole. */
function hiddenGroup(name: string): { readonly group: Group; readonly learningRate: number } {
  const method = tunedMethod({ name, options: {} }, { steps, layers: config.num_hidden_layers });
  const made = recipe(name, method.options);
  const { groups } = compositionFromJson(made.toJSON() as never);
  made.dispose();
  const wanted = JSON.stringify(PROJECTABLE);
  // Of a recipe without a scope, the last group is that of all the others are not for.
  const group = groups.find(({ match }) => JSON.stringify(match) === wanted) ?? groups.at(-1)!;
  return { group, learningRate: method.learningRate };
}

function defaultRate(name: string): number {
  const { group, learningRate } = hiddenGroup(name);
  return learningRate * (group.lrScale ?? 1);
}

function optimizerFor(name: string, rate: number, seed: number): ComposedOptimizer {
  const { group } = hiddenGroup(name);
  const hidden: Group = { ...group, match: PROJECTABLE, lrScale: rate / REST_RATE };
  const rest = adamW({ beta2: 0.95 });
  const options: ComposeOptions =
    name === 'scheduleFree'
      ? {
          learningRate: trainingSchedule({ peak: REST_RATE, steps, shape: 'constant' }),
          groups: [hidden, { use: scheduleFree(rmsprop({ alpha: 0.95, biasCorrection: true })) }],
        }
      : { learningRate: trainingSchedule({ peak: REST_RATE, steps }), groups: [hidden, { use: rest }] };
  return compose({ ...options, seed });
}

/** The table of all runs in the folder that are as long. */
function print(): void {
  const runs = readdirSync(values.folder)
    .filter(file => file.endsWith('.json'))
    .map(file => JSON.parse(readFileSync(join(values.folder, file), 'utf8')) as Run)
    .filter(each => each.steps === steps);
  const lines: { readonly name: string; readonly mean: number; readonly cells: readonly string[] }[] = [];
  for (const name of listRecipes()) {
    const own = runs.filter(each => each.name === name);
    const first = own.filter(({ seed, loss }) => seed === 1 && loss !== null);
    if (first.length === 0) continue;
    const { rate } = first.reduce((a, b) => (b.loss! < a.loss! ? b : a));
    const best = own.filter(each => each.rate === rate);
    const losses = best.map(({ loss }) => loss ?? Number.POSITIVE_INFINITY);
    const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
    const milliseconds = best.map(each => each.milliseconds ?? 0).sort((a, b) => a - b)[Math.floor(best.length / 2)]!;
    const range = `${Math.min(...losses).toFixed(3)} to ${Math.max(...losses).toFixed(3)}`;
    const state = `${Math.round(best[0]!.stateBytes / 1024)} KiB`;
    lines.push({ name, mean, cells: [mean.toFixed(3), range, String(rate), state, milliseconds.toFixed(1)] });
  }
  lines.sort((a, b) => a.mean - b.mean);
  console.log(`${steps} steps of ${BATCH} x ${LENGTH} tokens, ${opened.name}\n`);
  console.log('| recipe | loss | of seeds | rate | state | ms an update |');
  console.log('| --- | --- | --- | --- | --- | --- |');
  for (const { name, cells } of lines) console.log(`| \`${name}\` | ${cells.join(' | ')} |`);
}
