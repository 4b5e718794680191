import { UsageError } from './backends.js';
import { layersCommand } from './layers.js';
import { type Print, USAGE } from './options.js';
import { stepCommand } from './step.js';
import { trainCommand } from './train.js';

const COMMANDS: Readonly<Record<string, (args: readonly string[], print: Print) => Promise<void>>> = {
  step: stepCommand,
  train: trainCommand,
  layers: layersCommand,
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
      throw new UsageError(`unknown benchmark "${name}"; there are ${Object.keys(COMMANDS).join(', ')}`);
    }
    await run(rest, print);
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    print(`${error.message}\n\n${USAGE}`);
    return 1;
  }
}
