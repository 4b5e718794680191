import { type Described, type Json, type Schedule, scheduleFromJson } from '@frugaljs/core';

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
