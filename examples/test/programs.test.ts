// Every example, run in short as its README says, with the packages from their sources.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { getKernel } from '@tensorflow/tfjs-core';
import '@frugaljs/backend-wasm';
import { expect, it } from 'vitest';
import { FROM_SOURCE } from '../../tools/test-support/node-process.js';

const examples = fileURLToPath(new URL('..', import.meta.url));

async function run(example: string, ...args: string[]): Promise<string> {
  const options = { cwd: `${examples}/${example}`, env: { ...process.env, NODE_OPTIONS: '' } };
  const { stdout } = await promisify(execFile)(process.execPath, [...FROM_SOURCE, 'main.js', ...args], options);
  return stdout;
}

/** Head and rows of the table at the end of what an example prints. */
function tableOf(text: string): string[][] {
  const lines = text.trimEnd().split('\n');
  const head = lines.findIndex(line => line.startsWith('optimizer '));
  return lines.slice(head).map(line => line.split(/ {2,}/));
}

/** A column by its title: names, or numbers without their units. */
function column([head, ...rows]: string[][], title: string): string[] {
  const index = head!.indexOf(title);
  return rows.map(row => row[index]!);
}

/** What the README says that the command prints. */
function printedIn(example: string): string {
  const readme = readFileSync(`${examples}/${example}/README.md`, 'utf8');
  return /```text\n(.*?)```/s.exec(readme)?.[1] ?? '';
}

const trainsConvolutions = getKernel('Conv2DBackpropFilter', 'wasm') !== undefined;
if (!trainsConvolutions) console.log('Skipped: backend-wasm has no kernels for the gradients of convolutions.');

const programs = ['autoencoder', 'custom-loop', 'gan', 'text-lstm', 'transfer-learning'];

it.each([...programs, ...(trainsConvolutions ? ['cnn'] : [])])('%s', { timeout: 240_000 }, async example => {
  const output = await run(example, '--quick');
  const [table, shown] = [tableOf(output), tableOf(printedIn(example))];
  for (const line of `${output}${printedIn(example)}`.split('\n')) expect(line.length).toBeLessThanOrEqual(80);

  const [adam, ...others] = column(table, 'state').map(Number.parseFloat);
  expect(others.length).toBeGreaterThanOrEqual(2);
  for (const state of others) expect(state).toBeLessThan(0.8 * adam!);
  for (const value of ['first loss', 'last', 'time'].flatMap(title => column(table, title))) {
    expect(Number.parseFloat(value)).toBeGreaterThanOrEqual(0);
  }
  // What does not hang on the number of steps is in the README as it is printed.
  for (const title of ['optimizer', 'state', 'share']) expect(column(shown, title)).toEqual(column(table, title));
  expect(shown[0]).toEqual(table[0]);
});

it('the same seed gives the same losses', { timeout: 240_000 }, async () => {
  const losses = async (...args: string[]) =>
    column(tableOf(await run('custom-loop', '--steps', '20', ...args)), 'last');
  expect(await losses()).toEqual(await losses('--seed', '1'));
  expect(await losses()).not.toEqual(await losses('--seed', '2'));
});

it.each([
  [['--steps', '1'], "--steps is '1'; give a whole number from 2"],
  [['--steps=-3'], "--steps is '-3'"],
  [['--sead', '2'], '--sead'],
])('refuses %j', async (args, message) => {
  await expect(run('gan', ...args)).rejects.toMatchObject({
    code: 2,
    stdout: '',
    stderr: expect.stringContaining(message),
  });
});

it('says why the LSTM names its recurrent initializer: the default asks for the union package', async () => {
  const program = `
    import '@tensorflow/tfjs-backend-cpu';
    import { layers } from '@tensorflow/tfjs-layers';
    import { ones } from '@tensorflow/tfjs-core';
    layers.lstm({ units: 2 }).apply(ones([1, 3, 2]));`;
  const args = [...FROM_SOURCE, '--input-type=module', '--eval', program];
  await expect(promisify(execFile)(process.execPath, args, { cwd: examples })).rejects.toMatchObject({
    stderr: expect.stringContaining('flatten is not a function'),
  });
});
