import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import type { Json, WarmupStart } from '@frugaljs/core';
import { Command, Option } from 'commander';
import { defaultWarmup, type ScheduleName, scheduleNames, warmupStarts } from '../training/schedule.js';
import { integer, number } from './option-parsers.js';

/** What the command line of `frugal train` asks for. */
export interface TrainingRequest {
  readonly optimizer: string;
  readonly lr?: number;
  readonly density?: number;
  readonly projector?: string;
  readonly updateGap?: number;
  readonly weightDecay?: number;
  readonly clip?: number;
  readonly nonFinite?: string;
  /** `option=value`, any number of them. */
  readonly set?: readonly string[];
  /** Rank of adapters to train in place of the weights. */
  readonly lora?: number;
  readonly loraAlpha?: number;
  /** Ends of the names of what to adapt, with commas between them. */
  readonly loraTargets?: string;
  /** Updates between two merges of the adapters. */
  readonly relora?: number;
  readonly reloraWarmup?: number;
  readonly steps: number;
  readonly batch: number;
  readonly length: number;
  readonly accumulate: number;
  /** Compute layers again in the backward pass, in place of keeping what they computed. */
  readonly recompute?: boolean;
  readonly warmup?: number;
  readonly warmupStart: WarmupStart;
  readonly schedule: ScheduleName;
  readonly seed: number;
  readonly backend: string;
  readonly config?: string;
  /** Weights to start from: a folder as transformers saves it, or a checkpoint. */
  readonly weights?: string;
  readonly data: string;
  readonly tokenizer: string;
  readonly offline?: boolean;
  readonly evalEvery?: number;
  readonly sample: number;
  readonly prompt?: string;
  readonly sampleLength: number;
  readonly log?: string;
  readonly json?: string;
  /** Where checkpoints go; false: nowhere, not even when the run is interrupted. */
  readonly save?: string | false;
  readonly saveEvery: number;
  readonly keepLast: number;
  readonly keepBest: number;
  /** A checkpoint, a folder of them, or `auto`: that of `save`, if there is one. */
  readonly resume?: string;
  readonly resumePartial?: boolean;
  /** Standard deviations above the average that a loss must be to have the run rolled back. */
  readonly rollback?: number;
  readonly maxRollbacks: number;
}

/** An option whose value is optional is true without one. */
type Flags = Omit<TrainingRequest, 'rollback'> & { readonly rollback?: number | true };

/** Of `--rollback` without a number. */
const DEVIATIONS = 6;

/**
 * `frugal train`: one run.
 *
 * @param run Does it; told which options were given on the command line, for those hold over what a checkpoint remembers.
 */
export function trainCommand(run: (request: TrainingRequest, given: ReadonlySet<string>) => Promise<void>): Command {
  const gather = (text: string, before: string[] = []): string[] => [...before, text];
  return new Command('train')
    .description('Train a LLaMA with one optimizer: a new one, or further with --weights.')
    .optionsGroup('Optimizer:')
    .option('--optimizer <name>', 'a recipe; `frugal list` names them', 'frugal')
    .option('--lr <rate>', "peak learning rate (default: the recipe's)", number(0))
    .option('--density <share>', 'share of the hidden matrices that has state', number(0, 1))
    .option('--projector <name>', 'how FRUGAL picks the subspace')
    .option('--update-gap <n>', 'updates between two subspaces, or blocks', integer(1))
    .option('--weight-decay <rate>', 'decoupled weight decay', number(0))
    .option('--clip <norm>', 'limit the norm of all gradients together', number(0, Number.POSITIVE_INFINITY, true))
    .addOption(
      new Option(
        '--non-finite <policy>',
        'what to do about a gradient with NaN or Inf: end the run, leave the update out, or go on (default: throw)',
      ).choices(['throw', 'skip', 'ignore']),
    )
    .option('--set <option=value>', 'any other option of the recipe; may be repeated', gather)
    .optionsGroup('Adapter:')
    .option(
      '--lora <rank>',
      'train LoRA adapters of this rank and freeze all weights; the optimizer is then adamW',
      integer(1),
    )
    .option('--lora-alpha <n>', 'their scale times their rank (default: 8)', number(0, Number.POSITIVE_INFINITY, true))
    .option(
      '--lora-targets <list>',
      'layers to adapt, such as q_proj,v_proj (default: all linear layers of the blocks)',
    )
    .option(
      '--relora <n>',
      'merge them into the weights every n updates and start them anew (rank 8, or that of --lora)',
      integer(1),
    )
    .option(
      '--relora-warmup <n>',
      'updates of warm-up after each merge (default: a tenth of those between two)',
      integer(0),
    )
    .optionsGroup('Run:')
    .option('--steps <n>', 'updates', integer(1), 300)
    .option('--batch <n>', 'rows of a batch', integer(1), 8)
    .option('--length <n>', 'tokens of a row', integer(1), 64)
    .option('--accumulate <n>', 'batches averaged for one update', integer(1), 1)
    .option('--recompute', 'compute each layer again in the backward pass: far less memory, more time')
    .option('--warmup <n>', 'updates of linear warm-up (default: a tenth of the run)', integer(0))
    .addOption(
      new Option('--warmup-start <where>', 'rate of the first update: zero, or one step of the warm-up above it')
        .choices(warmupStarts)
        .default(warmupStarts[0]),
    )
    .addOption(
      new Option('--schedule <shape>', 'learning rate after the warm-up')
        .choices(scheduleNames)
        .default(scheduleNames[0]),
    )
    .option('--seed <n>', 'seed of weights, batches, subspaces and samples', integer(Number.NEGATIVE_INFINITY), 1)
    .option('--backend <name>', '`frugal list` names them', 'wasm')
    .optionsGroup('Model and text:')
    .option('--weights <path>', 'fine-tune these: a folder with config.json and model.safetensors, or a checkpoint')
    .option(
      '--config <name>',
      'a preset, a JSON file with Hugging Face keys, or a folder that has one (default: 4 layers of width 96)',
    )
    .option('--data <name>', 'a text by name, or a .txt or .jsonl file', 'shakespeare')
    .option('--offline', 'never download a text; fall back on the text of the installed packages')
    .option(
      '--tokenizer <file>',
      'a tokenizer.json, a llama2.c .bin, or bytes (default: that of --weights, if it has one)',
      'bytes',
    )
    .optionsGroup('Checkpoints:')
    .option('--save <folder>', 'save checkpoints in this folder, on the way and at the end')
    .option('--no-save', 'save nothing, not even when the run is interrupted')
    .option('--save-every <n>', 'steps between two checkpoints', integer(1), 100)
    .option('--keep-last <n>', 'how many of the latest checkpoints to keep', integer(1), 3)
    .option('--keep-best <n>', 'how many with the lowest validation loss to keep besides', integer(0), 1)
    .option('--resume <path>', 'go on from a checkpoint, or the latest in a folder; auto: in that of --save, if any')
    .option('--resume-partial', 'keep what fits of a checkpoint where model, optimizer or text have changed')
    .option(
      '--rollback [deviations]',
      'go back to a checkpoint and leave out the data when the loss is so far above its average, or NaN (default: 6)',
      (text: string) => number(0, Number.POSITIVE_INFINITY, true)(text),
    )
    .option('--max-rollbacks <n>', 'how often, before giving up', integer(0), 3)
    .optionsGroup('Output:')
    .option('--eval-every <n>', 'evaluate every so many steps (default: only at the end)', integer(1))
    .option('--sample <n>', 'print so many texts by the trained model', integer(0), 1)
    .option('--prompt <text>', 'what the samples start with')
    .option('--sample-length <n>', 'tokens of a sample', integer(1), 160)
    .option('--log <file>', 'write a line of JSON for every step to this file')
    .option('--json <file>', 'write the result to this file')
    .action(async (flags: Flags, command: Command) => {
      const given = new Set(Object.keys(flags).filter(name => command.getOptionValueSource(name) === 'cli'));
      const { rollback, ...rest } = flags;
      const request = rollback === undefined ? rest : { ...rest, rollback: rollback === true ? DEVIATIONS : rollback };
      await run(request, given);
    });
}

/** The options that a checkpoint remembers, with the type of their values; the others concern one call only. */
const REMEMBERED: Readonly<Record<string, 'string' | 'number' | 'boolean' | 'strings'>> = {
  optimizer: 'string',
  lr: 'number',
  density: 'number',
  projector: 'string',
  updateGap: 'number',
  weightDecay: 'number',
  clip: 'number',
  nonFinite: 'string',
  set: 'strings',
  lora: 'number',
  loraAlpha: 'number',
  loraTargets: 'string',
  relora: 'number',
  reloraWarmup: 'number',
  steps: 'number',
  batch: 'number',
  length: 'number',
  accumulate: 'number',
  recompute: 'boolean',
  warmup: 'number',
  warmupStart: 'string',
  schedule: 'string',
  seed: 'number',
  backend: 'string',
  data: 'string',
  tokenizer: 'string',
  offline: 'boolean',
  evalEvery: 'number',
  sample: 'number',
  prompt: 'string',
  sampleLength: 'number',
  saveEvery: 'number',
  keepLast: 'number',
  keepBest: 'number',
  rollback: 'number',
  maxRollbacks: 'number',
};

/** Options that mean something else to another optimizer, or nothing. */
const OF_THE_OPTIMIZER: readonly string[] = ['lr', 'density', 'projector', 'updateGap', 'set'];

/** Options whose value may be a path, which must lead to the same file from any folder. */
const PATHS: readonly string[] = ['data', 'tokenizer'];

/** The options of a run as a checkpoint remembers them. */
export function rememberedOptions(request: TrainingRequest): Json {
  const entries = Object.keys(REMEMBERED).flatMap(key => {
    const value = (request as unknown as Record<string, Json | undefined>)[key];
    if (value === undefined) return [];
    const isFile = PATHS.includes(key) && typeof value === 'string' && existsSync(value);
    return [[key, isFile ? resolve(value) : value] as const];
  });
  return Object.fromEntries(entries);
}

/**
 * The request of a run that goes on: what the checkpoint remembers, and over it what the command line says.
 *
 * @param given Names of the options that were given on the command line.
 */
export function resumedRequest(
  request: TrainingRequest,
  given: ReadonlySet<string>,
  remembered: Json,
): TrainingRequest {
  if (typeof remembered !== 'object' || remembered === null) return request;
  const { optimizer } = remembered as { readonly optimizer?: Json };
  // Names of recipes are read in upper and lower case alike.
  const isAnother = given.has('optimizer') && String(optimizer).toLowerCase() !== request.optimizer.toLowerCase();
  const known = Object.entries(remembered).filter(
    ([key, value]) =>
      Object.hasOwn(REMEMBERED, key) &&
      typeOf(value) === REMEMBERED[key] &&
      !given.has(key) &&
      !(isAnother && OF_THE_OPTIMIZER.includes(key)),
  );
  const { warmup = warmupOf(remembered), ...rest } = { ...request, ...Object.fromEntries(known) };
  return warmup === undefined ? rest : { ...rest, warmup };
}

/** The warm-up that a run without `--warmup` had: with another number of steps it stays what it was. */
function warmupOf(remembered: Json): number | undefined {
  const { steps } = remembered as { readonly steps?: Json };
  return typeof steps === 'number' ? defaultWarmup(steps) : undefined;
}

function typeOf(value: Json | undefined): string {
  return Array.isArray(value) && value.every(each => typeof each === 'string') ? 'strings' : typeof value;
}
