import type { Lora } from '@frugaljs/adapters';
import { type LlamaConfig, parameterCount } from '@frugaljs/llama';
import { formatPerplexity } from '../comparison/result.js';
import type { Progress } from '../terminal/output.js';
import { formatBytes, formatCount, formatDuration, formatMilliseconds } from '../terminal/text.js';
import type { Step } from '../training/steps.js';
import type { Evaluation, TrainingResult } from '../training/train.js';
import { SmoothedLoss, smoothed } from '../training/train.js';
import { describeModel, type OpenedData } from './open-inputs.js';
import type { TrainingRequest } from './train-command.js';

/** About how many steps the shown losses and times are averaged over. */
const SPAN = 20;

/** Says what is about to be trained. */
export function announceRun(
  progress: Progress,
  { steps, batch, length, accumulate, recompute = false, seed, backend, weights: from }: TrainingRequest,
  run: {
    readonly recipe: string;
    readonly stateBytes: number;
    readonly config: LlamaConfig;
    readonly opened: OpenedData;
    /** What the run goes on from. */
    readonly resumed: { readonly step: number; readonly name: string } | null;
    readonly lora: Lora | null;
  },
): void {
  const { dataset, tokenizer, name } = run.opened;
  const weights = formatCount(parameterCount(run.config).total);
  const origin = run.resumed !== null ? `of ${run.resumed.name}` : from === undefined ? `seed ${seed}` : `from ${from}`;
  const tokens = formatCount(batch * length * accumulate);
  const lines = [
    `Model      LLaMA, ${describeModel(run.config)}, ${weights} weights, ${origin}`,
    `Text       ${name} (${tokenizer.kind}), ${formatCount(dataset.train.length)} tokens to train on, ` +
      `${formatCount(dataset.validation.length)} held out`,
    ...(run.lora === null ? [] : [`Adapter    ${describeAdapter(run.lora)}`]),
    `Optimizer  ${run.recipe}, ${formatBytes(run.stateBytes)} of state`,
    `Run        ${formatCount(steps)} steps of ${tokens} tokens, backend ${backend}${recompute ? ', layers recomputed' : ''}`,
    ...(run.resumed === null ? [] : [`Goes on    after step ${run.resumed.step} (${run.resumed.name})`]),
  ];
  progress.print(`${lines.join('\n')}\n`);
}

function describeAdapter(lora: Lora): string {
  const { r, modules } = lora.config;
  const weights = Object.values(lora.parameters()).reduce((sum, { size }) => sum + size, 0);
  return `LoRA of rank ${r} on ${modules.length} matrices, ${formatCount(weights)} weights; all others are frozen`;
}

/** Shows one training run as it goes. */
export class TrainingDisplay {
  readonly #progress: Progress;
  readonly #title: string;
  readonly #steps: number;
  readonly #tokensPerStep: number;
  readonly #began: number = performance.now();
  #done = 0;
  readonly #loss = new SmoothedLoss(SPAN);
  readonly #milliseconds = new SmoothedLoss(SPAN);

  constructor(progress: Progress, title: string, steps: number, tokensPerStep: number) {
    this.#progress = progress;
    this.#title = title;
    this.#steps = steps;
    this.#tokensPerStep = tokensPerStep;
  }

  step({ step, loss, milliseconds }: Step): void {
    const smoothLoss = this.#loss.add(loss);
    const smoothMilliseconds = this.#milliseconds.add(milliseconds);
    const secondsPerStep = (performance.now() - this.#began) / 1000 / ++this.#done;
    const details = [
      `loss ${smoothLoss.toFixed(3)}`,
      `${formatDuration(secondsPerStep * (this.#steps - step))} left`,
      `${formatCount((1000 * this.#tokensPerStep) / smoothMilliseconds)} tokens/s`,
    ];
    this.#progress.update({ title: this.#title, done: step, total: this.#steps, details });
  }

  evaluation({ step, loss }: Evaluation): void {
    if (step < this.#steps) this.#progress.print(`step ${step}: validation loss ${loss.toFixed(3)}`);
  }
}

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
