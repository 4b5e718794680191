import { formatPerplexity } from '../comparison/table.js';
import { formatBytes, formatMilliseconds } from '../terminal/units.js';
import { smoothed } from '../training/smoothed-loss.js';
import type { TrainingResult } from '../training/train.js';

const SPAN = 20;

/** The numbers of a run, under the names that comparisons use. */
export function summary(result: TrainingResult): object {
  const { steps, interrupted, losses, evaluations, validationLoss, step, optimizerStep } = result;
  return {
    updates: steps,
    interrupted,
    validationLoss,
    perplexity: validationLoss === null ? null : Math.exp(validationLoss),
    msPerOptimizerStep: optimizerStep.mean,
    msPerStep: step.mean,
    losses,
    evaluations,
  };
}

/** What a run came to, in a sentence. */
export function conclusion(result: TrainingResult, steps: number, stateBytes: number): string {
  const { validationLoss, losses, step, optimizerStep } = result;
  const last = smoothed(losses, SPAN).at(-1);
  if (result.interrupted) {
    return `Stopped after step ${result.steps} of ${steps}${last === undefined ? '' : `, training loss ${last.toFixed(3)}`}.`;
  }
  // A run that was finished before it was resumed makes no steps to time.
  const times =
    step.mean === null
      ? ''
      : `, ${formatMilliseconds(step.mean)} ms per step, ${formatMilliseconds(optimizerStep.mean)} of them in the optimizer`;
  const perplexity = formatPerplexity(Math.exp(validationLoss!));
  return `Validation loss ${validationLoss!.toFixed(3)} (perplexity ${perplexity}), ${formatBytes(stateBytes)} of optimizer state${times}.`;
}
