import { requireInteger } from '@frugaljs/core';
import {
  type GradientConsumer,
  pause,
  type Step,
  type StepsOptions,
  type TrainableModel,
  type TrainingData,
  trainingSteps,
} from './steps.js';

export interface TrainOptions<Batch> extends StepsOptions<Batch> {
  readonly data: TrainingData<Batch>;
  /** Evaluate after every so many steps; the last step is always followed by an evaluation. Default: only then. */
  readonly evaluateEvery?: number;
  /** Validation batches of an evaluation, at most. Default 32. */
  readonly validationBatches?: number;
  /** Called, and waited for, after every step: show, log or save. */
  readonly onStep?: (step: Step) => unknown;
  /** Called, and waited for, after every evaluation. */
  readonly onEvaluation?: (evaluation: Evaluation) => unknown;
  /** Called, and waited for, when a step and the evaluation after it, if there is one, are done: the place to save. */
  readonly onStepEnd?: (end: StepEnd) => unknown;
  /** What was measured before `firstStep`, if the run goes on. */
  readonly history?: RunHistory;
}

/** What was measured so far. */
export interface RunHistory {
  /** Training loss of every step, in nats per token. */
  readonly losses: readonly number[];
  readonly evaluations: readonly Evaluation[];
}

/** A run between two steps. */
export interface StepEnd extends RunHistory {
  /** Updates made. */
  readonly step: number;
  /** The validation loss, if it was measured after this step. */
  readonly validationLoss: number | null;
}

/** The validation loss after a number of steps. */
export interface Evaluation {
  readonly step: number;
  /** Nats per token. */
  readonly loss: number;
}

export interface TrainingResult {
  /** Updates made, those before `firstStep` included. */
  readonly steps: number;
  /** Whether the signal ended the run early. */
  readonly interrupted: boolean;
  /** Training loss of every step, in nats per token, those of the history included. */
  readonly losses: readonly number[];
  readonly evaluations: readonly Evaluation[];
  /** The validation loss after the last step; null if the run was interrupted. */
  readonly validationLoss: number | null;
  /** Milliseconds of a training step. */
  readonly step: Timing;
  /** Milliseconds in the optimizer, of a training step. */
  readonly optimizerStep: Timing;
}

/** The number of validation batches that training evaluates on unless told otherwise. */
export const VALIDATION_BATCHES = 32;

/**
 * Trains a model and evaluates it: {@link trainingSteps} with callbacks.
 *
 * @throws InvalidOptionError for an option outside its domain, and whatever the optimizer throws.
 */
export async function train<Batch>(options: TrainOptions<Batch>): Promise<TrainingResult> {
  const { model, data, signal, steps, firstStep = 0, evaluateEvery = Number.POSITIVE_INFINITY } = options;
  if (evaluateEvery !== Number.POSITIVE_INFINITY) requireInteger('train.evaluateEvery', evaluateEvery, 1);
  const count = requireInteger('train.validationBatches', options.validationBatches ?? VALIDATION_BATCHES, 1);
  const batches = data.validationBatches(count);
  const record = new RunRecord(options.history?.losses);
  const evaluations: Evaluation[] = [...(options.history?.evaluations ?? [])];
  let made = firstStep;
  const isDue = (): boolean => made % evaluateEvery === 0 || made === steps;
  /** @returns false if it was aborted. */
  const evaluateNow = async (): Promise<boolean> => {
    const loss = await withAverages(options.optimizer, () => evaluate(model, batches, signal));
    if (loss === null) return false;
    evaluations.push({ step: made, loss });
    await options.onEvaluation?.({ step: made, loss });
    return true;
  };
  // A run that was stopped between a step and its evaluation goes on with the evaluation.
  const isOwed = made > 0 && isDue() && evaluations.at(-1)?.step !== made;
  if (!isOwed || (await evaluateNow())) {
    for await (const step of trainingSteps(options)) {
      record.add(step);
      made = step.step;
      await options.onStep?.(step);
      const due = isDue();
      if (due && !(await evaluateNow())) break;
      const validationLoss = due ? evaluations.at(-1)!.loss : null;
      await options.onStepEnd?.({ step: made, validationLoss, losses: record.losses, evaluations });
    }
  }
  const last = evaluations.at(-1);
  const validationLoss = last?.step === steps ? last.loss : null;
  return {
    steps: made,
    interrupted: validationLoss === null,
    losses: record.losses,
    evaluations,
    validationLoss,
    step: record.step,
    optimizerStep: record.optimizerStep,
  };
}

/** Calls a function while the variables hold the averages that an optimizer keeps of them; just calls it for any other. */
export function withAverages<T>(optimizer: GradientConsumer, f: () => Promise<T>): Promise<T> {
  const { withAveragedWeights } = optimizer as { withAveragedWeights?(f: () => Promise<T>): Promise<T> };
  return withAveragedWeights === undefined ? f() : withAveragedWeights.call(optimizer, f);
}

/**
 * Mean loss over batches of one size, in nats per token: the validation loss. Its exponential is the perplexity.
 *
 * @param signal Aborts between two batches.
 * @returns null if it was aborted.
 */
export async function evaluate<Batch>(
  model: Pick<TrainableModel<Batch>, 'loss'>,
  batches: readonly Batch[],
  signal?: AbortSignal,
): Promise<number | null> {
  let sum = 0;
  for (const batch of batches) {
    await pause();
    if (signal?.aborted) return null;
    const loss = model.loss(batch);
    sum += (await loss.data<'float32'>())[0]!;
    loss.dispose();
  }
  return sum / batches.length;
}

/** How long something took, per step. */
export interface Timing {
  /** Mean over the steps: what a run of many steps costs per step. Null before the first step. */
  readonly mean: number | null;
  /** Median over the steps: what a step costs that nothing disturbs. */
  readonly median: number | null;
}

/** What is kept of a run's steps: the losses and the times. */
export class RunRecord {
  /** Training loss of every step, in nats per token. */
  readonly losses: number[];
  readonly #steps: number[] = [];
  readonly #optimizerSteps: number[] = [];

  /** @param losses Those of the steps before, if the run goes on. */
  constructor(losses: readonly number[] = []) {
    this.losses = [...losses];
  }

  add({ loss, milliseconds, optimizerMilliseconds }: Step): void {
    this.losses.push(loss);
    this.#steps.push(milliseconds);
    this.#optimizerSteps.push(optimizerMilliseconds);
  }

  /** Milliseconds of a training step. */
  get step(): Timing {
    return timing(this.#steps);
  }

  /** Milliseconds in the optimizer, of a training step. */
  get optimizerStep(): Timing {
    return timing(this.#optimizerSteps);
  }
}

function timing(milliseconds: readonly number[]): Timing {
  if (milliseconds.length === 0) return { mean: null, median: null };
  const sorted = [...milliseconds].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return {
    mean: milliseconds.reduce((sum, each) => sum + each, 0) / milliseconds.length,
    median: (sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2,
  };
}

/**
 * An exponential moving average that starts without a bias towards 0: s_t = Σ β^(t-i) x_i / Σ β^(t-i), β = 1 - 1/span.
 */
export class SmoothedLoss {
  readonly #decay: number;
  #sum = 0;
  #weight = 0;

  /** @param span About how many values count. */
  constructor(span: number) {
    this.#decay = 1 - 1 / Math.max(1, span);
  }

  /** Adds a value and returns the average. */
  add(value: number): number {
    this.#sum = this.#decay * this.#sum + value;
    this.#weight = this.#decay * this.#weight + 1;
    return this.value;
  }

  get value(): number {
    return this.#sum / this.#weight;
  }
}

/** The moving average after each of the values. */
export function smoothed(values: readonly number[], span: number): number[] {
  const average = new SmoothedLoss(span);
  return values.map(value => average.add(value));
}
