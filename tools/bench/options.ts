import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { BACKEND_NAMES, CLOCK_NAMES, type ClockName, UsageError } from './backends.js';

export const USAGE: string = `npm run bench -- step  [options]   one optimizer step, every method on every backend
npm run bench -- train [options]   whole training steps of a small LLaMA
npm run bench -- layers [options]  whole training steps of convolutional models of tf.layers, cpu against wasm

  --backend A,B     of ${BACKEND_NAMES.join(', ')} (default wasm,cpu; train: wasm)
  --methods A,B     only these (default all; step: without svd where a backend multiplies matrices slowly)
  --rounds N        each method takes one step per round (default 15; slow methods fewer, but at least 3)
  --clock NAME      wall (default), or cpu: time on a processor, for machines that others use at the same time
  --json FILE       writes the rows to a file, too
layers only (with --rounds, --clock, --json):
  --models A,B      of cnn, mobilenet (default both)
  --batch N         images of a step (default 32)
step only:
  --matrices N      parameters (default 12)
  --size N          each is N × N (default 1024)
  --text FILE       text of the model whose gradient svd-refresh decomposes (default: the license)
  --torch PYTHON    a Python that has torch: the same steps in PyTorch, on one thread, in the same rounds`;

type OptionKinds = Readonly<Record<string, { readonly type: 'string' }>>;

/** The options of a benchmark as strings. */
export function readOptions(args: readonly string[], names: readonly string[]): Readonly<Record<string, string>> {
  const options: OptionKinds = Object.fromEntries(names.map(name => [name, { type: 'string' } as const]));
  try {
    return parseArgs({ args: [...args], options }).values as Record<string, string>;
  } catch (error) {
    throw new UsageError((error as Error).message);
  }
}

/** A positive integer. */
export function integerOption(name: string, value: string | undefined, otherwise: number): number {
  if (value === undefined) return otherwise;
  const number = Number(value);
  if (Number.isSafeInteger(number) && number >= 1) return number;
  throw new UsageError(`--${name}: expected an integer of at least 1, found "${value}"`);
}

/** Names out of a list, in the order of the list. */
export function namesOption<Name extends string>(
  option: string,
  value: string | undefined,
  known: readonly Name[],
  otherwise: readonly Name[],
): readonly Name[] {
  if (value === undefined) return otherwise;
  const asked = value.split(',').map(name => name.trim());
  const unknown = asked.filter(name => !(known as readonly string[]).includes(name));
  if (unknown.length > 0) {
    throw new UsageError(`--${option}: unknown ${unknown.join(', ')}; there are ${known.join(', ')}`);
  }
  return known.filter(name => asked.includes(name));
}

export function clockOption(value: string | undefined): ClockName {
  const name = CLOCK_NAMES.find(clock => clock === (value ?? 'wall'));
  if (name === undefined) throw new UsageError(`--clock: expected ${CLOCK_NAMES.join(' or ')}, found "${value}"`);
  return name;
}

/** Writes what was measured to the file of the option --json. */
export function writeReport(file: string, report: object): void {
  try {
    writeFileSync(file, `${JSON.stringify(report, null, 2)}\n`);
  } catch (error) {
    throw new UsageError(`--json: ${(error as Error).message}`);
  }
}

/** Writes a line of the report. */
export type Print = (line: string) => void;
