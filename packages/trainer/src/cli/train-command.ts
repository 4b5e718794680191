import { Command, Option } from 'commander';
import type { Streams } from '../terminal/streams.js';
import { integer, number } from './option-parsers.js';
import type { TrainingRequest } from './training-request.js';

/** An option whose value is optional is true without one. */
type Flags = Omit<TrainingRequest, 'rollback'> & { readonly rollback?: number | true };

/** Of `--rollback` without a number. */
const DEVIATIONS = 6;

/** `frugal train`: one run. */
export function trainCommand(streams: Streams, finished: (exitCode: number) => void): Command {
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
    .optionsGroup('Run:')
    .option('--steps <n>', 'updates', integer(1), 300)
    .option('--batch <n>', 'rows of a batch', integer(1), 8)
    .option('--length <n>', 'tokens of a row', integer(1), 64)
    .option('--accumulate <n>', 'batches averaged for one update', integer(1), 1)
    .option('--recompute', 'compute each layer again in the backward pass: far less memory, more time')
    .option('--warmup <n>', 'updates of linear warm-up (default: a tenth of the run)', integer(0))
    .addOption(
      new Option('--schedule <shape>', 'learning rate after the warm-up')
        .choices(['cosine', 'linear', 'stable', 'constant'])
        .default('cosine'),
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
      const { runTraining } = await import('./run-training.js');
      const given = new Set(Object.keys(flags).filter(name => command.getOptionValueSource(name) === 'cli'));
      const { rollback, ...rest } = flags;
      const request = rollback === undefined ? rest : { ...rest, rollback: rollback === true ? DEVIATIONS : rollback };
      finished(await runTraining(request, given, streams));
    });
}
