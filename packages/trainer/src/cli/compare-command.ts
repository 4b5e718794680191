import { Command, Option } from 'commander';
import { COMPARISON_DEFAULTS } from '../comparison/result.js';
import { integer, number } from './option-parsers.js';

/** What the command line of `frugal compare` asks for. */
export interface ComparisonRequest {
  readonly optimizers: string;
  /** Steps of every run; if missing, as many as `minutes` allow, up to the default. */
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
  /** False: none. */
  readonly report: string | false;
  readonly json?: string;
}

/**
 * `frugal compare`: the same model and text with several optimizers.
 *
 * @param run Does it; told when the command started, for the time limit.
 */
export function compareCommand(run: (request: ComparisonRequest, began: number) => Promise<void>): Command {
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
    .action((request: ComparisonRequest) => run(request, performance.now()));
}
