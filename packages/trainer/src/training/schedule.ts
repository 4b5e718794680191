import {
  constant,
  joined,
  linear,
  requireInteger,
  requireNumber,
  requireOneOf,
  type Schedule,
  warmupCosine,
  warmupStableDecay,
} from '@frugaljs/core';

/** The shapes of {@link trainingSchedule}, the default first. */
export const scheduleNames = ['cosine', 'linear', 'stable', 'constant'] as const;

export type ScheduleName = (typeof scheduleNames)[number];

export interface ScheduleOptions {
  /** The highest rate. */
  readonly peak: number;
  /** Updates in all. */
  readonly steps: number;
  /**
   * What follows the warm-up: half a `cosine`, a straight `linear` fall, a `stable` plateau whose last fifth of the run
   * is a linear fall, or a `constant` rate. Default cosine.
   */
  readonly shape?: ScheduleName;
  /** Updates of linear warm-up. Default a tenth of the run. */
  readonly warmup?: number;
  /** The rate at the end, as a fraction of the peak. Default 0.1. */
  readonly floor?: number;
}

/** The warm-up of a run of so many steps where none is asked for. */
export function defaultWarmup(steps: number): number {
  return Math.round(steps / 10);
}

/** A learning rate schedule fitted to the length of a run. */
export function trainingSchedule(options: ScheduleOptions): Schedule {
  const { peak, steps, shape = 'cosine', floor = 0.1 } = options;
  requireNumber('learningRate', peak, '[0, Infinity)');
  requireInteger('steps', steps, 1);
  requireOneOf('schedule', shape, scheduleNames);
  requireNumber('floor', floor, '[0, 1]');
  const warmup = Math.min(requireInteger('warmup', options.warmup ?? defaultWarmup(steps), 0), steps - 1);
  if (shape === 'cosine') return warmupCosine({ peak, warmup, total: steps, floor });
  if (shape === 'stable') {
    const decay = Math.max(1, Math.min(Math.round(steps / 5), steps - warmup));
    return warmupStableDecay({ peak, warmup, stable: steps - warmup - decay, decay, floor });
  }
  const rest = shape === 'constant' ? constant(peak) : linear({ from: peak, to: peak * floor, steps: steps - warmup });
  if (warmup === 0) return rest;
  return joined([
    { schedule: linear({ from: 0, to: peak, steps: warmup }), steps: warmup },
    { schedule: rest, steps: Number.POSITIVE_INFINITY },
  ]);
}
