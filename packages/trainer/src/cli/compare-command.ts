import { Command, Option } from 'commander';
import { COMPARISON_DEFAULTS } from '../comparison/defaults.js';
import type { Streams } from '../terminal/streams.js';
import { integer, number } from './option-parsers.js';

interface CompareFlags {
  readonly optimizers: string;
  readonly steps?: number;
  readonly minutes: number;
  readonly data: string;
  readonly tokenizer: string;
  readonly offline?: boolean;
  readonly config?: string;
  readonly seed: number;
  readonly batch: number;
  readonly length: number;
  readonly backend: string;
  readonly report: string | false;
  readonly json?: string;
}

/** Characters of a line of prose: about as wide as the table. */
const LINE = 104;

/** `frugal compare`: the same model and text with several optimizers. */
export function compareCommand(streams: Streams, finished: (exitCode: number) => void): Command {
  const { optimizers, steps, batch, length, seed, data, minutes } = COMPARISON_DEFAULTS;
  return new Command('compare')
    .description('Pre-train the same small LLaMA on the same text with several optimizers, and compare them.')
    .option(
      '--optimizers <list>',
      'names with commas between them, each with options of its own: adamW,frugal:density=0.5:lr=0.002',
      optimizers,
    )
    .option('--steps <n>', `training steps of every run (default: ${steps}, or what --minutes allows)`, integer(1))
    .option(
      '--minutes <n>',
      'shortens the runs so that all end within this time; ignored with --steps',
      number(0, Infinity, true),
      minutes,
    )
    .option('--data <name>', 'a text by name, or a .txt or .jsonl file', data)
    .option('--offline', 'never download a text; fall back on the text of the installed packages')
    .option('--tokenizer <file>', 'a tokenizer.json, a llama2.c .bin, or bytes', 'bytes')
    .option(
      '--config <name>',
      'the model: a preset, a JSON file with Hugging Face keys, or a folder that has one (default: 4 layers of width 96)',
    )
    .option('--batch <n>', 'rows of a batch', integer(1), batch)
    .option('--length <n>', 'tokens of a row', integer(1), length)
    .option('--seed <n>', 'seed of weights, batches and random subspaces', integer(Number.NEGATIVE_INFINITY), seed)
    .addOption(new Option('--backend <name>', '`frugal list` names them').default('wasm'))
    .option('--report <file>', 'write the report with the loss curves to this file', 'frugal-report.html')
    .option('--no-report', 'write no report')
    .option('--json <file>', 'write all numbers to this file')
    .action(async (flags: CompareFlags) => finished(await run(flags, streams)));
}

async function run(flags: CompareFlags, streams: Streams): Promise<number> {
  const began = performance.now();
  const [
    { runComparison },
    { comparisonTable },
    { caveat },
    { requireAllWritable, writeJson, writeOutput },
    { EXIT },
    { formatDuration },
    { wrap },
  ] = await Promise.all([
    import('./run-comparison.js'),
    import('../comparison/table.js'),
    import('../comparison/caveat.js'),
    import('./output-file.js'),
    import('./failure.js'),
    import('../terminal/units.js'),
    import('../terminal/wrap.js'),
  ]);
  const report = flags.report === false ? undefined : flags.report;
  const { report: reportFile, json: jsonFile } = await requireAllWritable({ report, json: flags.json });
  const comparison = await runComparison(flags, streams.stderr, began);
  if (comparison === null || comparison.runs.length === 0) return EXIT.interrupted;

  streams.stdout.write(`\n${comparisonTable(comparison)}\n\n${wrap(caveat(comparison.settings), LINE)}\n`);
  if (jsonFile !== null) await writeJson(jsonFile, comparison);
  if (reportFile !== null) {
    const { comparisonReport } = await import('../report/report.js');
    await writeOutput('report', reportFile, comparisonReport(comparison));
    streams.stdout.write(`Loss curves: ${flags.report}\n`);
  }
  streams.stdout.write(`${formatDuration((performance.now() - began) / 1000)} in all.\n`);
  return comparison.interrupted ? EXIT.interrupted : EXIT.ok;
}
