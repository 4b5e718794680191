import { readFileSync } from 'node:fs';
import { Command } from 'commander';
import { type Streams, VisibleOutput } from '../terminal/output.js';
import { checkCommand } from './check-command.js';
import { compareCommand } from './compare-command.js';
import { EXIT, reportFailure } from './exit.js';
import { listCommand } from './list-command.js';
import { memoryCommand } from './memory-command.js';
import { text } from './option-parsers.js';
import { trainCommand } from './train-command.js';

const MAY_BE_EMPTY: readonly string[] = ['--prompt'];

/**
 * Runs the `frugal` command. What a command does is loaded when it is called for: help and a mistake in an option need
 * neither a model nor a backend.
 *
 * @param args What follows the name of the command.
 * @param streams Where to write.
 * @returns The exit code.
 */
export async function runCommand(args: readonly string[], { stdout, stderr }: Streams = process): Promise<number> {
  const streams = { stdout: VisibleOutput.to(stdout), stderr: VisibleOutput.to(stderr) };
  let code: number = EXIT.ok;
  const program = new Command('frugal')
    .description('Trains and compares memory-efficient optimizers on a LLaMA, with TensorFlow.js.')
    .version(version(), '-V, --version')
    .enablePositionalOptions();
  const commands = [
    compareCommand(async (request, began) => {
      const { runComparison } = await import('./run-comparison.js');
      code = await runComparison(request, streams, began);
    }),
    trainCommand(async (request, given) => {
      const { runTraining } = await import('./run-training.js');
      code = await runTraining(request, given, streams);
    }),
    memoryCommand(async request => {
      const { runMemory } = await import('./run-memory.js');
      await runMemory(request, streams.stdout);
    }),
    checkCommand(streams.stdout, exitCode => {
      code = exitCode;
    }),
    listCommand(streams.stdout),
  ];
  for (const command of commands) {
    for (const option of command.options) {
      if (option.required && option.parseArg === undefined && !MAY_BE_EMPTY.includes(option.long!)) {
        option.argParser(text);
      }
    }
    program.addCommand(command.option('--debug', 'show the stack of an error'));
  }
  // Set last: settings are not inherited by commands that were made on their own.
  const output = {
    writeOut: (text: string) => void streams.stdout.write(text),
    writeErr: (text: string) => void streams.stderr.write(text),
  };
  for (const command of [program, ...program.commands]) {
    command.exitOverride().configureOutput(output).showHelpAfterError('(--help lists the options)');
  }
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    return reportFailure(error, args.includes('--debug'), text => streams.stderr.write(text));
  }
}

function version(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { version: string }).version;
}
