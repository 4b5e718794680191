import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { InvalidOptionError } from '@frugaljs/core';
import { Command } from 'commander';
import type { Streams } from '../terminal/output.js';
import { EXIT } from './exit.js';
import { integer } from './option-parsers.js';
import { requireWritable, writeJson } from './output-file.js';

interface CheckFlags {
  readonly backend: string;
  readonly seed?: number;
  readonly runs?: number;
  readonly json?: string;
}

/** `frugal check`: the laws, tried on a user's own projector, rule or combine. */
export function checkCommand(stdout: Streams['stdout'], finished: (exitCode: number) => void): Command {
  return new Command('check')
    .description('Try the laws of projectors, rules and combines on every factory that a file exports.')
    .argument('<file>', 'a module: JavaScript, or TypeScript where Node or tsx can load it')
    .option('--backend <name>', '`frugal list` names them', 'wasm')
    .option('--seed <n>', 'seed of the examples (default: 1)', integer(Number.NEGATIVE_INFINITY))
    .option('--runs <n>', 'examples for each law (default: 25)', integer(1))
    .option('--json <file>', 'write the reports to this file')
    .action(async (file: string, flags: CheckFlags) => finished(await check(file, flags, stdout)));
}

/** @returns The exit code: 1 when a law is broken. */
async function check(
  file: string,
  { backend, seed, runs, json }: CheckFlags,
  stdout: Streams['stdout'],
): Promise<number> {
  const [{ checkModule, formatReport }, { selectBackend }] = await Promise.all([
    import('@frugaljs/testing'),
    import('../backend.js'),
  ]);
  const jsonFile = json === undefined ? null : await requireWritable('json', json);
  await selectBackend(backend);
  const exports = await loadModule(file);
  const options = { ...(seed === undefined ? {} : { seed }), ...(runs === undefined ? {} : { numRuns: runs }) };
  const reports = await checkModule(exports, options).catch((error: unknown) => {
    // The module has nothing to check; everything else is a report or a bug.
    if (!(error instanceof TypeError) || !/^The module exports /.test(error.message)) throw error;
    throw new InvalidOptionError({
      parameter: 'file',
      found: `${file} with the exports ${Object.keys(exports).join(', ') || '(none)'}`,
      expected: 'a function that returns a projector, a rule or a combine when it is called with {}',
      advice: 'The README of @frugaljs/testing says what is checked.',
    });
  });
  stdout.write(`${reports.map(formatReport).join('\n\n')}\n`);
  if (jsonFile !== null) await writeJson(jsonFile, reports);
  return reports.every(({ passed }) => passed) ? EXIT.ok : EXIT.failure;
}

/**
 * Loads a module of the user's. TypeScript is loaded by the tsx that is installed where the command runs, or by Node itself
 * where it can.
 *
 * @throws InvalidOptionError if there is no such file, or if it does not load, with the reason.
 */
async function loadModule(path: string): Promise<Readonly<Record<string, unknown>>> {
  const file = resolve(path);
  if (!existsSync(file)) {
    throw new InvalidOptionError({ parameter: 'file', found: `nothing at ${path}`, expected: 'a module' });
  }
  const isTypeScript = /\.[mc]?tsx?$/.test(file);
  if (isTypeScript) await registerTypeScript();
  try {
    return await import(pathToFileURL(file).href);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ERR_UNKNOWN_FILE_EXTENSION' || !isTypeScript) {
      throw unloadable(path, error);
    }
    throw new InvalidOptionError({
      parameter: 'file',
      found: `${path}, which this version of Node does not read`,
      expected: 'JavaScript, or TypeScript and the package tsx',
      advice: 'Install tsx (npm install --save-dev tsx), or compile the file first.',
    });
  }
}

/** Does what `node --import tsx` does, if there is a tsx; Node may do without. */
async function registerTypeScript(): Promise<void> {
  try {
    const loader = createRequire(join(process.cwd(), 'frugal.js')).resolve('tsx');
    await import(pathToFileURL(loader).href);
  } catch {
    // Importing the file tells whether it was needed.
  }
}

function unloadable(path: string, error: unknown): InvalidOptionError {
  const reason = error instanceof Error ? `${error.name}: ${error.message.split('\n')[0]}` : String(error);
  const complaint = new InvalidOptionError({
    parameter: 'file',
    found: `${path}, which does not load (${reason})`,
    expected: 'a module that loads',
  });
  // For --debug.
  if (error instanceof Error && error.stack !== undefined) complaint.stack = error.stack;
  return complaint;
}
