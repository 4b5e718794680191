import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { readWeights } from '@frugaljs/checkpoint/node';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { frugalHere, smallRun } from './support/command.js';

vi.setConfig({ testTimeout: 240_000 });

const { folder, flags, remove } = smallRun();
afterAll(remove);
beforeAll(() => process.chdir(folder));

const json = (name: string) => JSON.parse(readFileSync(join(folder, name), 'utf8'));

async function done(...args: string[]): Promise<string> {
  const outcome = await frugalHere('train', ...flags, '--sample', '0', ...args);
  expect(outcome).toMatchObject({ code: 0 });
  return outcome.stdout;
}

const RUN = [
  '--optimizer',
  'scheduleFree',
  '--schedule',
  'constant',
  '--lr',
  '0.02',
  '--warmup',
  '2',
  '--eval-every',
  '4',
];

test('a schedule-free run evaluates its average and publishes it', async () => {
  const stdout = await done(...RUN, '--steps', '12', '--save', 'whole', '--json', 'whole.json');
  expect(stdout).toContain(
    'The average of the weights, which was evaluated, is in whole/averaged; checkpoints have those in training.',
  );
  const [averaged, inTraining] = await Promise.all([readWeights('whole/averaged'), readWeights('whole/step-000012')]);
  expect(Object.keys(averaged).sort()).toEqual(Object.keys(inTraining).sort());
  expect(averaged['model.norm.weight']).not.toEqual(inTraining['model.norm.weight']);

  // Tuned from there at a rate of 0, a run has the loss that was evaluated.
  const still = ['--steps', '1', '--optimizer', 'sgd', '--lr', '0', '--no-save'];
  await done('--weights', 'whole/averaged', ...still, '--json', 'averaged.json');
  await done('--weights', 'whole/step-000012', ...still, '--json', 'training.json');
  const evaluated = json('whole.json').validationLoss;
  expect(json('averaged.json').validationLoss).toBeCloseTo(evaluated, 5);
  expect(Math.abs(json('training.json').validationLoss - evaluated)).toBeGreaterThan(1e-3);
});

test('a run that is resumed goes on with the weights in training, bit for bit', async () => {
  await done(...RUN, '--steps', '6', '--save', 'halves');
  const outcome = await frugalHere('train', '--resume', 'halves', '--steps', '12', '--json', 'halves.json');
  expect(outcome).toMatchObject({ code: 0 });
  const [whole, halves] = [json('whole.json'), json('halves.json')];
  expect(halves.losses).toEqual(whole.losses);
  expect(halves.validationLoss).toBe(whole.validationLoss);
  for (const file of ['model.safetensors', 'optimizer.safetensors']) {
    const read = (run: string): Buffer => readFileSync(join(folder, run, 'step-000012', file));
    expect(read('halves').equals(read('whole'))).toBe(true);
  }
});

test('a run that has ended publishes the same average when it is resumed', async () => {
  const averaged = (): Buffer => readFileSync(join(folder, 'whole/averaged/model.safetensors'));
  const before = averaged();
  const outcome = await frugalHere('train', '--resume', 'whole', '--save', 'whole', '--steps', '12');
  expect(outcome).toMatchObject({ code: 0 });
  expect(averaged().equals(before)).toBe(true);
});
