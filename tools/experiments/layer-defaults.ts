/**
 * What should a recipe keep in a subspace when a model comes from tf.layers? Trains three models with every choice, and
 * prints validation loss beside bytes of state.
 *
 *     npm run experiment -- [--steps 600] [--seeds 3] [--task digits|intents|stories]
 */
import { parseArgs } from 'node:util';
import { type ComposeOptions, compose, residual, subspace } from '@frugaljs/composer';
import type { Projector } from '@frugaljs/core';
import { blockwise, rows } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import { dispose, setBackend, slice, type Tensor, type Variable } from '@tensorflow/tfjs-core';
import type { LayersModel } from '@tensorflow/tfjs-layers';
import { numbersFrom, TASKS, type Task } from './tasks.js';
import '@frugaljs/backend-wasm';

const BATCH = 32;
/** Learning rates that each choice may take; the best on the first seed is used for all. */
const RATES = [1e-3, 2e-3, 4e-3, 8e-3, 16e-3] as const;

/** Whether a parameter goes into the subspace, by what it is. */
type Kind = 'dense' | 'convolution' | 'embedding' | 'output';
interface Choice {
  readonly name: string;
  readonly kinds: readonly Kind[];
  readonly projector: () => Projector;
}

const DENSITY = 0.25;
const CHOICES: readonly Choice[] = [
  { name: 'AdamW', kinds: [], projector: () => rows({ density: DENSITY }) },
  ...(
    [
      ['rows', () => rows({ density: DENSITY })],
      ['blockwise', () => blockwise({ density: DENSITY })],
    ] as const
  ).flatMap(([name, projector]) => [
    { name: `${name}: dense`, kinds: ['dense'] as const, projector },
    { name: `${name}: dense, conv`, kinds: ['dense', 'convolution'] as const, projector },
    { name: `${name}: dense, conv, embedding`, kinds: ['dense', 'convolution', 'embedding'] as const, projector },
    {
      name: `${name}: dense, conv, embedding, output`,
      kinds: ['dense', 'convolution', 'embedding', 'output'] as const,
      projector,
    },
  ]),
];

function kindOf(name: string, shape: readonly number[], task: Task): Kind | null {
  if (shape.length < 2) return null;
  if (name.startsWith(`${task.output}/`)) return 'output';
  if (name.includes('embedding')) return 'embedding';
  return shape.length > 2 ? 'convolution' : 'dense';
}

const { values } = parseArgs({
  args: process.argv.slice(2),
  options: {
    steps: { type: 'string', default: '600' },
    seeds: { type: 'string', default: '3' },
    task: { type: 'string' },
    projector: { type: 'string', default: '' },
  },
});
const [steps, seeds] = [Number(values.steps), Number(values.seeds)];
await setBackend('wasm');
for (const makeTask of TASKS) {
  if (values.task !== undefined && makeTask.name !== values.task) continue;
  const task = makeTask();
  console.log(`\n${task.name}: ${task.title}; ${steps} steps of ${BATCH}, seeds 1 to ${seeds}`);
  const found = new Set<string>();
  for (const choice of CHOICES) {
    if (choice.kinds.length > 0 && !choice.name.startsWith(values.projector)) continue;
    const has = partsOf(task);
    const applied = choice.kinds.filter(kind => has.has(kind));
    const key = `${applied.join()}/${applied.length === 0 ? '' : choice.name.split(':')[0]}`;
    if (found.has(key)) continue;
    found.add(key);
    await compareRates(task, choice);
  }
}

/** The kinds of parameters that a model has. */
function partsOf(task: Task): ReadonlySet<Kind> {
  const model = task.build(0);
  const kinds = new Set<Kind>();
  for (const { name, shape } of model.trainableWeights) {
    const kind = kindOf(name, shape as number[], task);
    if (kind !== null) kinds.add(kind);
  }
  model.dispose();
  return kinds;
}

async function compareRates(task: Task, choice: Choice): Promise<void> {
  let best: { rate: number; loss: number; bytes: number } | null = null;
  for (const rate of RATES) {
    const run = await train(task, choice, rate, 1);
    if (best === null || run.loss < best.loss) best = { rate, ...run };
  }
  const losses = [best!.loss];
  for (let seed = 2; seed <= seeds; seed++) losses.push((await train(task, choice, best!.rate, seed)).loss);
  const mean = losses.reduce((sum, loss) => sum + loss, 0) / losses.length;
  const spread = Math.sqrt(losses.reduce((sum, loss) => sum + (loss - mean) ** 2, 0) / Math.max(1, losses.length - 1));
  console.log(
    `  ${choice.name.padEnd(40)} rate ${best!.rate}  loss ${mean.toFixed(4)} ± ${spread.toFixed(4)}  ` +
      `state ${(best!.bytes / 1024).toFixed(0)} KiB`,
  );
}

async function train(task: Task, choice: Choice, rate: number, seed: number): Promise<{ loss: number; bytes: number }> {
  const model = task.build(seed);
  const use = subspace({
    projector: choice.projector(),
    rule: adamW(),
    combine: residual(signSgd()),
    refresh: { every: 50 },
  });
  const options: ComposeOptions = {
    learningRate: rate,
    seed,
    groups: [
      {
        match: ({ name, shape }) => {
          const kind = kindOf(name, shape, task);
          return kind !== null && choice.kinds.includes(kind);
        },
        use,
        optional: true,
      },
      { use: adamW() },
    ],
  };
  const optimizer = compose(options);
  model.compile({ optimizer, loss: 'sparseCategoricalCrossentropy' });
  const random = numbersFrom(seed);
  const rowsOfData = task.training.inputs.shape[0]!;
  for (let step = 0; step < steps; step++) {
    const start = Math.floor(random() * (rowsOfData - BATCH));
    const [inputs, labels] = [batchOf(task.training.inputs, start), batchOf(task.training.labels, start)];
    await model.trainOnBatch(inputs, labels);
    dispose([inputs, labels]);
  }
  const bytes = optimizer.memoryReport(variablesOf(model)).totalStateBytes;
  const evaluated = model.evaluate(task.validation.inputs, task.validation.labels, { batchSize: 256 });
  const loss = (Array.isArray(evaluated) ? evaluated[0]! : evaluated).dataSync()[0]!;
  optimizer.dispose();
  model.dispose();
  return { loss, bytes };
}

/** The rows of a batch. */
function batchOf(rowsOfData: Tensor, start: number): Tensor {
  const [, ...rest] = rowsOfData.shape;
  return slice(rowsOfData, [start, ...rest.map(() => 0)], [BATCH, ...rest]);
}

function variablesOf(model: LayersModel): { name: string; shape: number[] }[] {
  return model.trainableWeights.map(weight => {
    const variable = weight.read() as Variable;
    return { name: variable.name, shape: variable.shape };
  });
}
