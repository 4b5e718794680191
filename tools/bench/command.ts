import type { Print } from './print.js';
import { stepCommand } from './step/step-command.js';
import { trainCommand } from './train/train-command.js';
import { USAGE } from './usage.js';
import { UsageError } from './usage-error.js';

const COMMANDS: Readonly<Record<string, (args: readonly string[], print: Print) => Promise<void>>> = {
  step: stepCommand,
  train: trainCommand,
};

/** Runs a benchmark and returns the exit code. */
export async function command(args: readonly string[], print: Print): Promise<number> {
  const [name, ...rest] = args;
  if (name === undefined || name === '--help' || name === 'help') {
    print(USAGE);
    return name === undefined ? 1 : 0;
  }
  try {
    const run = COMMANDS[name];
    if (run === undefined) {
      throw new UsageError(`unknown benchmark "${name}"; there are ${Object.keys(COMMANDS).join(' and ')}`);
    }
    await run(rest, print);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    print(`${error.message}\n\n${USAGE}`);
    return 1;
  }
}
