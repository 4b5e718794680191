import type { Checkpoints, SavableOptimizer, SavedCheckpoint } from '@frugaljs/checkpoint';
import { InvalidOptionError, type Json, requireInteger } from '@frugaljs/core';
import type { GradientConsumer } from '../training/steps.js';
import { type RunHistory, type StepEnd, type TrainingResult, type TrainOptions, train } from '../training/train.js';
import { partialLines, resumeRun } from './resume.js';
import {
  goodCheckpoint,
  LossSpike,
  LossSpikeDetector,
  mishap,
  ROLLBACK_DEFAULTS,
  type RollbackOptions,
  rolledBack,
} from './rollback.js';
import { type Rollback, RunSaver, type RunState } from './saver.js';

type TrainingOptions<Batch> = Omit<TrainOptions<Batch>, 'firstStep' | 'firstBatch' | 'history' | 'onStepEnd'>;

export interface DurableOptions<Batch> extends TrainingOptions<Batch> {
  readonly optimizer: GradientConsumer & SavableOptimizer;
  readonly checkpoints: Checkpoints;
  /** When to save: every so many steps and at the end, at the end of a run that the signal ended, or never. */
  readonly saves?: 'on-the-way' | 'when-interrupted' | 'never';
  /** Save after every so many steps, besides after an evaluation that is the best so far. Default 100. */
  readonly saveEvery?: number;
  /** The model's `config.json`. */
  readonly config?: object;
  /** More files for every checkpoint, such as the tokenizer's. */
  readonly files?: Readonly<Record<string, string>>;
  /** What must stay the same for the run to repeat: the text, the size of a batch, their seed. Compared on resuming. */
  readonly identity?: Json;
  /** Saved with the run, to be had again from its checkpoints. */
  readonly settings?: Json;
  /** The checkpoint to go on from. Default: a new run. */
  readonly resume?: SavedCheckpoint | null;
  /** Keep what fits if model, composition or identity changed, instead of an error. Default false. */
  readonly partial?: boolean;
  /** Go back to the last good checkpoint when the loss explodes or a gradient is not finite. Default: do not. */
  readonly rollback?: RollbackOptions | null;
  /** Called after the run went back. */
  readonly onRollback?: (rollback: Rollback) => void;
  /** Receives what deserves a line but no error. Default `console.warn`. */
  readonly onNotice?: (line: string) => void;
}

export interface DurableResult extends TrainingResult {
  /** The checkpoint that holds the end of this call; null if no step was made and none resumed. */
  readonly checkpoint: string | null;
  readonly rollbacks: readonly Rollback[];
}

/**
 * Trains, saves on the way and at the end, goes on where a checkpoint left off, and goes back when the run goes wrong.
 *
 * A run that is continued with the same data, composition, backend and kernels equals the uninterrupted one bit for bit:
 * weights, state, losses and evaluations. From its first save to its end it holds the store: another run is refused there.
 *
 * @throws CheckpointMismatchError, InvalidCheckpointError, CheckpointStorageError, DivergedError, and as {@link train}.
 */
export async function trainDurably<Batch>(options: DurableOptions<Batch>): Promise<DurableResult> {
  try {
    return await trainAndSave(options);
  } finally {
    await options.checkpoints.release();
  }
}

async function trainAndSave<Batch>(options: DurableOptions<Batch>): Promise<DurableResult> {
  const { model, optimizer, checkpoints, accumulate = 1, steps, rollback = null, config, files } = options;
  const { identity = null, settings = null, resume = null, partial = false, onNotice = console.warn } = options;
  const { saves = 'on-the-way' } = options;
  if (resume !== null && steps < resume.step) {
    throw new InvalidOptionError({
      parameter: 'train.steps',
      found: steps,
      expected: `at least ${resume.step}, which ${resume.name} has made`,
    });
  }
  const saveEvery = requireInteger('train.saveEvery', options.saveEvery ?? 100, 1);
  const { deviations, limit } = { ...ROLLBACK_DEFAULTS, ...rollback };
  const restore = async (saved: SavedCheckpoint, keepPart: boolean): Promise<RunState> => {
    const target = { model, optimizer, identity, settings, partial: keepPart, ...(config && { config }) };
    const { state, report } = await resumeRun(saved, target);
    for (const line of report.warnings) onNotice(line);
    if (keepPart) for (const line of partialLines(saved.name, report)) onNotice(line);
    return state;
  };

  let state: RunState =
    resume === null
      ? { step: 0, nextBatch: 0, losses: [], evaluations: [], rollbacks: [], identity, settings }
      : await restore(resume, partial);
  const saver = new RunSaver(
    { checkpoints, model, optimizer, onNotice, ...(config && { config }), ...(files && { files }) },
    resume === null || partial ? null : { step: resume.step, name: resume.name },
  );
  if (rollback !== null && saves !== 'on-the-way') {
    throw new InvalidOptionError({
      parameter: 'train.rollback',
      found: `a rollback without checkpoints (saves: ${saves})`,
      expected: 'checkpoints on the way, to go back to',
    });
  }
  // Fewer may be kept than before, and a disk that was full has room then.
  if (saves === 'on-the-way' && resume !== null) await checkpoints.thinOut([resume.name]);
  let since = resume?.manifest.sequence ?? 0;
  // Going back needs something to go back to, however early the run goes wrong.
  if (rollback !== null && resume === null) await saver.saveNow(state, null);

  for (;;) {
    const start = state;
    const detector = rollback === null ? null : new LossSpikeDetector(deviations, start.losses);
    let best = start.evaluations.reduce((least, { loss }) => Math.min(least, loss), Number.POSITIVE_INFINITY);
    let current = start;
    const at = (step: number, { losses, evaluations }: RunHistory): RunState => ({
      ...start,
      ...{ step, losses, evaluations, nextBatch: start.nextBatch + (step - start.step) * accumulate },
    });
    const endStep = async (end: StepEnd): Promise<void> => {
      current = at(end.step, end);
      const isBest = end.validationLoss !== null && end.validationLoss < best;
      if (isBest) best = end.validationLoss;
      if (saves === 'on-the-way' && end.step < steps && (isBest || end.step % saveEvery === 0)) {
        await saver.saveBeside(current, end.validationLoss);
      }
    };
    try {
      const result = await train({
        ...options,
        ...{ firstStep: start.step, firstBatch: start.nextBatch, history: start },
        onStep: async step => {
          const limitNow = detector?.limit ?? Number.POSITIVE_INFINITY;
          if (detector?.isSpike(step.loss)) throw new LossSpike(step.step, step.loss, limitNow);
          await options.onStep?.(step);
        },
        onStepEnd: endStep,
      });
      const last = at(result.steps, result);
      await saver.settle();
      const isWanted = saves === 'on-the-way' || (saves === 'when-interrupted' && result.interrupted);
      if (isWanted && saver.last?.step !== last.step && last.step > 0) await saver.saveNow(last, result.validationLoss);
      return { ...result, checkpoint: saver.last?.name ?? null, rollbacks: last.rollbacks };
    } catch (error) {
      const what = rollback === null ? null : mishap(error, current.step);
      if (what === null) throw error;
      await saver.settle();
      const good = await goodCheckpoint(checkpoints, what, current.rollbacks, limit, since);
      state = rolledBack(await restore(good, false), current, what, accumulate);
      const made = state.rollbacks.at(-1)!;
      const [from, to] = made.skippedBatches;
      onNotice(
        `Step ${what.step} went wrong: ${what.reason}. Back to step ${state.step} (${good.name}), leaving out batches ` +
          `${from} to ${to - 1}; rollback ${state.rollbacks.length} of ${limit}.`,
      );
      options.onRollback?.(made);
      // So that a restart does not run into the same data again.
      const name = await saver.saveNow(state, good.metric);
      since = (await checkpoints.open(name)).manifest.sequence;
    }
  }
}
