import { CheckpointMismatchError, type SavedCheckpoint } from '@frugaljs/checkpoint';
import { isOfTheLearningRate, sameRates, scheduleOf } from '../durable/rates-so-far.js';

/** What a run that is to go on with other options asks for. */
export interface ChangedRun {
  readonly saved: SavedCheckpoint;
  /** The composition as JSON. */
  readonly composition: object;
  readonly steps: number;
  /** Whether `--schedule` or `--lr` are on the command line. */
  readonly namesRate: boolean;
}

const PARTIAL = 'With --resume-partial it goes on with what fits, and says what that is.';

/**
 * Says what to type where a checkpoint does not fit. Where nothing but the learning rate differs, it is most often because
 * there are to be more steps: then it says which rates that would give.
 */
export function explainedMismatch(error: unknown, changed: ChangedRun): unknown {
  if (!(error instanceof CheckpointMismatchError)) return error;
  error.message = [error.message, ...(rateLines(error, changed) ?? [PARTIAL])].join('\n');
  return error;
}

function rateLines({ differences }: CheckpointMismatchError, changed: ChangedRun): string[] | null {
  const { saved, composition, steps, namesRate } = changed;
  if (!differences.every(({ path }) => isOfTheLearningRate(path))) return null;
  const before = scheduleOf(saved.manifest.optimizer?.composition);
  const now = scheduleOf(composition);
  if (before === null || now === null || saved.step === 0) return null;
  const same = sameRates(before, now, saved.step);
  const last = shown(before.at(saved.step - 1));
  const lines = [
    `With these options the learning rate would have been another one from step ${same + 1} on, and ${saved.step} steps are made.`,
    `To go on all the same, add to the command`,
    `  --resume-partial`,
    `    for the rate of a run of ${steps} steps from here on: ${shown(now.at(saved.step))} at step ${saved.step + 1}, after ${last}`,
  ];
  if (!namesRate) {
    lines.push(`  --resume-partial --schedule constant --lr ${last}`, `    for the rate that it has come to`);
  }
  return lines;
}

function shown(rate: number): string {
  return String(Number(rate.toPrecision(3)));
}
