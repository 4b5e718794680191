import { InvalidOptionError, requireInteger } from '@frugaljs/core';
import {
  dispose,
  engine,
  type NamedTensorMap,
  type Scalar,
  type Tensor,
  type Variable,
  variableGrads,
} from '@tensorflow/tfjs-core';
import { registerGradients } from '../backend.js';
import { DivergedError, watchBackend } from '../errors.js';

/** A model as training sees it; `LlamaForCausalLM` is one. */
export interface TrainableModel<Batch> {
  /** Its variables; those that are `trainable` are trained. */
  parameters(): Readonly<Record<string, Variable>>;
  /** Mean loss of a batch. */
  loss(batch: Batch): Scalar;
}

/** Batches as training sees them; `TokenDataset` makes them. */
export interface TrainingData<Batch> {
  /** The `index`-th training batch, counted from 0: a pure function, so that a resumed run continues where it was. */
  trainBatch(index: number): Batch;
  /** The same batches at every call. */
  validationBatches(count?: number): readonly Batch[];
}

/** What makes the updates: any `tf.Optimizer`, among them those of `compose` and the recipes. */
export interface GradientConsumer {
  applyGradients(gradients: NamedTensorMap): void;
}

export interface StepsOptions<Batch> {
  readonly model: TrainableModel<Batch>;
  readonly optimizer: GradientConsumer;
  readonly data: Pick<TrainingData<Batch>, 'trainBatch'>;
  /** Updates in all, those before `firstStep` included. */
  readonly steps: number;
  /** Updates made before. Default 0. */
  readonly firstStep?: number;
  /** The number of the first batch; each step uses the next `accumulate` ones. Default firstStep · accumulate. */
  readonly firstBatch?: number;
  /** Batches of one update; the optimizer must be composed with the same number. Default 1. */
  readonly accumulate?: number;
  /** Called, and waited for, before each update: the place to change the model or the optimizer's state. */
  readonly beforeUpdate?: () => unknown;
  /** Ends the training after the step that is under way. */
  readonly signal?: AbortSignal;
}

/** One update. */
export interface Step {
  /** Updates made, this one included. */
  readonly step: number;
  /** Mean training loss of the step's batches, before the update. */
  readonly loss: number;
  /** The learning rate of the update, if the optimizer tells. */
  readonly learningRate: number | null;
  /** Wall time of the whole step. */
  readonly milliseconds: number;
  /** Wall time in the optimizer alone, until its results are there. */
  readonly optimizerMilliseconds: number;
}

/** Steps in a row whose gradients were all refused as not finite, after which it is no use to go on. */
const MOST_SKIPPED = 100;

/**
 * Trains, one update per iteration. Between two updates the caller may do what it likes: evaluate, save, stop.
 *
 * Which batches a step uses depends on its number alone. Leaves no tensors behind except the optimizer's state.
 *
 * @throws InvalidOptionError for numbers outside their domain, or if the optimizer accumulates another number of
 *   batches than `accumulate`; OutOfMemoryError and DeviceLostError; DivergedError after 100 steps in a row in which the
 *   optimizer skipped what it got; and whatever the optimizer throws, such as NonFiniteGradientError.
 */
export async function* trainingSteps<Batch>(options: StepsOptions<Batch>): AsyncGenerator<Step, void, undefined> {
  const { model, optimizer, data, firstStep = 0, accumulate = 1, signal } = options;
  const steps = requireInteger('train.steps', options.steps, 1);
  requireInteger('train.firstStep', firstStep, 0);
  requireInteger('train.accumulate', accumulate, 1);
  const firstBatch = requireInteger('train.firstBatch', options.firstBatch ?? firstStep * accumulate, 0);
  await registerGradients();
  const variables = Object.values(model.parameters());
  const smallest = smallestTrained(variables);
  const watch = watchBackend();
  let skippedInARow = 0;

  try {
    for (let step = firstStep; step < steps; step++) {
      await pause();
      if (signal?.aborted) return;
      await options.beforeUpdate?.();
      const learningRate = rateOf(optimizer);
      const [updates, skipped] = [updatesOf(optimizer), skippedOf(optimizer)];
      const started = performance.now();
      let loss = 0;
      let optimizerMilliseconds = 0;
      for (let i = 0; i < accumulate; i++) {
        const batch = data.trainBatch(firstBatch + (step - firstStep) * accumulate + i);
        const { value, grads } = gradientsOf(model, batch, variables);
        try {
          // Reading the loss also waits for the gradients: they were queued before it is read.
          loss += (await value.data<'float32'>())[0]! / accumulate;
          watch.throwFailure();
          const before = performance.now();
          optimizer.applyGradients(grads);
          await smallest.data();
          // Where nothing can be read back at once, only now is it known whether the gradients were finite.
          await (optimizer as { settled?(): Promise<void> }).settled?.();
          watch.throwFailure();
          optimizerMilliseconds += performance.now() - before;
        } finally {
          dispose(grads);
          value.dispose();
        }
      }
      requireOneUpdate(updates, updatesOf(optimizer), accumulate);
      skippedInARow = skippedOf(optimizer) - skipped >= accumulate ? skippedInARow + 1 : 0;
      requireProgress(skippedInARow);
      yield { step: step + 1, loss, learningRate, milliseconds: performance.now() - started, optimizerMilliseconds };
    }
  } catch (error) {
    throw watch.explain(error);
  } finally {
    watch.stop();
  }
}

/** The variable whose new value is there soonest. */
function smallestTrained(variables: readonly Variable[]): Variable {
  const trained = variables.filter(({ trainable }) => trainable);
  if (trained.length > 0) return trained.reduce((least, each) => (each.size < least.size ? each : least));
  throw new InvalidOptionError({
    parameter: 'train.model',
    found: `${variables.length} variables, all of them frozen`,
    expected: 'at least one that is trainable',
    advice: 'Set trainable to true on what is to be trained.',
  });
}

/** What tfjs notes down in a forward pass, as far as it concerns us. */
interface Tape {
  activeTape: { readonly saved?: readonly Tensor[] }[] | null;
}

/**
 * The loss of a batch and its gradients. If that fails midway, for want of memory say, what the forward pass kept for the
 * backward pass is freed: tfjs does so only at the end of a backward pass.
 */
function gradientsOf<Batch>(
  model: TrainableModel<Batch>,
  batch: Batch,
  variables: Variable[],
): { readonly value: Scalar; readonly grads: NamedTensorMap } {
  try {
    return variableGrads(() => model.loss(batch), variables);
  } catch (error) {
    const state = engine().state as unknown as Tape;
    for (const { saved = [] } of state.activeTape ?? []) for (const tensor of saved) tensor.dispose();
    state.activeTape = null;
    throw error;
  }
}

function rateOf(optimizer: GradientConsumer): number | null {
  const { learningRate: rate, learningRateScale: scale } = optimizer as {
    readonly learningRate?: unknown;
    readonly learningRateScale?: unknown;
  };
  if (typeof rate !== 'number') return null;
  return typeof scale === 'number' ? rate * scale : rate;
}

/** Batches, or updates, that a composed optimizer has left out because they were not finite. */
function skippedOf(optimizer: GradientConsumer): number {
  const { skippedUpdates } = optimizer as { readonly skippedUpdates?: unknown };
  return typeof skippedUpdates === 'number' ? skippedUpdates : 0;
}

function requireProgress(skippedInARow: number): void {
  if (skippedInARow < MOST_SKIPPED) return;
  throw new DivergedError({
    parameter: 'gradients',
    found: `NaN or Inf in ${skippedInARow} steps in a row`,
    expected: 'finite numbers now and then',
    advice: 'The weights are probably beyond repair: go back to an earlier checkpoint and lower the learning rate.',
  });
}

/** Updates made by a composed optimizer; null for another one, or once it has skipped some. */
function updatesOf(optimizer: GradientConsumer): number | null {
  const { updates, skippedUpdates } = optimizer as { readonly updates?: unknown; readonly skippedUpdates?: unknown };
  return typeof updates === 'number' && skippedUpdates === 0 ? updates : null;
}

function requireOneUpdate(before: number | null, after: number | null, accumulate: number): void {
  if (before === null || after === null || after === before + 1) return;
  throw new InvalidOptionError({
    parameter: 'train.accumulate',
    found: `${accumulate} batches, in which the optimizer made ${after - before} updates`,
    expected: 'the number of batches that the optimizer accumulates for one update',
    advice: 'Give compose (or the recipe) and train the same accumulate.',
  });
}

/**
 * Lets timers, signals and repaints run. The wasm and cpu backends compute synchronously, and promises alone never give
 * the event loop a turn.
 */
export function pause(): Promise<void> {
  return new Promise(resolve => {
    if (typeof setImmediate === 'function') setImmediate(resolve);
    else setTimeout(resolve, 0);
  });
}
