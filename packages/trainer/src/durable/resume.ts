import {
  type Difference,
  differencesOf,
  InvalidCheckpointError,
  type RestoreReport,
  type SavableOptimizer,
  type SavedCheckpoint,
} from '@frugaljs/checkpoint';
import { type Described, type Json, type Schedule, scheduleFromJson } from '@frugaljs/core';
import type { TrainableModel } from '../training/steps.js';
import { type RunState, runStateFromJson } from './saver.js';

/** What to put a run's state into. */
export interface ResumeTarget {
  readonly model: Pick<TrainableModel<never>, 'parameters'>;
  readonly optimizer: SavableOptimizer;
  /** The model's configuration: what shapes do not show, such as `rope_theta`, is compared too. */
  readonly config?: object;
  readonly identity: Json;
  readonly settings: Json;
  readonly partial: boolean;
}

/** The part of a run's state that a checkpoint holds as JSON; null if no training run saved it. */
export async function savedRunState(saved: SavedCheckpoint): Promise<RunState | null> {
  return runStateFromJson(await saved.trainer(), saved.step, saved.name);
}

/**
 * Puts model and optimizer back to where they were.
 *
 * @throws CheckpointMismatchError if model, composition or identity differ from those saved, unless `partial` is set
 *   (another schedule of learning rates does not differ if it gives the same for the updates made); InvalidCheckpointError if the checkpoint was altered or holds no training run. Nothing has changed then.
 */
export async function resumeRun(
  saved: SavedCheckpoint,
  target: ResumeTarget,
): Promise<{ readonly state: RunState; readonly report: RestoreReport }> {
  const state = await savedRunState(saved);
  if (state === null) {
    throw new InvalidCheckpointError({
      parameter: `${saved.name}/trainer.json`,
      found: 'no state of a training run',
      expected: 'where the run was',
      advice: 'Load the weights alone with restore({ model }) of @frugaljs/checkpoint.',
    });
  }
  const { model, optimizer, config, identity, settings, partial } = target;
  const differences = [...configDifferences(await saved.config(), config), ...differencesOf(state.identity, identity)];
  // Of a schedule only what it has given so far is part of what was trained.
  const hasSameRates = ratesAreTheSame(saved, optimizer);
  const accept = ({ path }: Difference): boolean => hasSameRates && isOfTheLearningRate(path);
  const report = await saved.restore({ model: model.parameters(), optimizer, partial, differences, accept });
  return { state: { ...state, identity, settings }, report };
}

/** What a partial restore kept and what not, in lines. */
export function partialLines(name: string, report: RestoreReport): string[] {
  const { differences, loaded, untouched, keptState, droppedState } = report;
  if (differences.length === 0) return [`${name} fits as it is: everything was kept.`];
  return [
    `${name} fits in part:`,
    ...differences.map(({ path, saved, now }) => `  ${path}: saved ${saved}, now ${now}`),
    `  kept: the weights of ${count(loaded.length, 'parameter')}, the optimizer state of ${keptState.length}, and the step`,
    ...untouched.map(path => `  not kept: the weights of ${path}, which stay as they were initialized`),
    ...grouped(droppedState).map(
      ({ variables, reason }) => `  not kept: the optimizer state of ${someOf(variables)}: ${reason}`,
    ),
  ];
}

/** Whether the learning rates of all updates that were made are those that the optimizer would have had for them. */
function ratesAreTheSame(saved: SavedCheckpoint, optimizer: SavableOptimizer): boolean {
  const [before, now] = [scheduleOf(saved.manifest.optimizer?.composition), scheduleOf(optimizer.toJSON?.())];
  return before !== null && now !== null && sameRates(before, now, saved.step) === saved.step;
}

function configDifferences(saved: Json, now: object | undefined): Difference[] {
  if (saved === null || now === undefined) return [];
  return differencesOf(saved, JSON.parse(JSON.stringify(now)) as Json, 'config');
}

function grouped(dropped: RestoreReport['droppedState']): { variables: string[]; reason: string }[] {
  const groups = new Map<string, string[]>();
  for (const { variable, reason } of dropped) groups.set(reason, [...(groups.get(reason) ?? []), variable]);
  return [...groups].map(([reason, variables]) => ({ variables, reason }));
}

function someOf(names: readonly string[]): string {
  return names.length <= 2 ? names.join(' and ') : `${names[0]} and ${names.length - 1} others`;
}

function count(number: number, noun: string): string {
  return `${number} ${noun}${number === 1 ? '' : 's'}`;
}

/** The part of a composition that a schedule of learning rates is. */
const LEARNING_RATE = 'learningRate';

/** @param path Of a difference between two compositions. */
export function isOfTheLearningRate(path: string): boolean {
  return path === LEARNING_RATE || path.startsWith(`${LEARNING_RATE}.`);
}

/**
 * The learning rate of a composition as JSON.
 *
 * @returns Null if it has none, or one that cannot be read here, such as a schedule that is not registered.
 */
export function scheduleOf(composition: Json | object | undefined): Schedule | null {
  const rate = (composition as { readonly [LEARNING_RATE]?: unknown } | null | undefined)?.[LEARNING_RATE];
  if (rate === undefined) return null;
  try {
    return scheduleFromJson(rate as number | Described);
  } catch {
    return null;
  }
}

/**
 * For how many updates from the first on two schedules give the same rate, at most `updates`. Where it is all that were
 * made, a run that goes on under the other schedule is the run that had it from the start.
 */
export function sameRates(one: Schedule, other: Schedule, updates: number): number {
  let same = 0;
  while (same < updates && one.at(same) === other.at(same)) same++;
  return same;
}
