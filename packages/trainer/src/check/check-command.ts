import { Command } from 'commander';
import { EXIT } from '../cli/failure.js';
import { integer } from '../cli/option-parsers.js';
import type { Streams } from '../terminal/streams.js';

interface CheckFlags {
  readonly backend: string;
  readonly seed?: number;
  readonly runs?: number;
  readonly json?: string;
}

/** `frugal check`: the laws, tried on a user's own projector, rule or combine. */
export function checkCommand(streams: Streams, finished: (exitCode: number) => void): Command {
  return new Command('check')
    .description('Try the laws of projectors, rules and combines on every factory that a file exports.')
    .argument('<file>', 'a module: JavaScript, or TypeScript where Node or tsx can load it')
    .option('--backend <name>', '`frugal list` names them', 'wasm')
    .option('--seed <n>', 'seed of the examples (default: 1)', integer(Number.NEGATIVE_INFINITY))
    .option('--runs <n>', 'examples for each law (default: 25)', integer(1))
    .option('--json <file>', 'write the reports to this file')
    .action(async (file: string, flags: CheckFlags) => finished(await check(file, flags, streams)));
}

/** @returns The exit code: 1 when a law is broken. */
async function check(file: string, { backend, seed, runs, json }: CheckFlags, { stdout }: Streams): Promise<number> {
  const [
    { InvalidOptionError },
    { checkModule, formatReport },
    { selectBackend },
    { loadModule },
    { requireWritable, writeJson },
  ] = await Promise.all([
    import('@frugaljs/core'),
    import('@frugaljs/testing'),
    import('../backend.js'),
    import('./load-module.js'),
    import('../cli/output-file.js'),
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
