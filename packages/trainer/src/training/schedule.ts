import {
  constant,
  joined,
  linear,
  requireInteger,
  requireNumber,
  requireOneOf,
  type Schedule,
  type WarmupStart,
  warmupCosine,
  warmupStableDecay,
} from '@frugaljs/core';

/** The shapes of {@link trainingSchedule}, the default first. */
export const scheduleNames = ['cosine', 'linear', 'stable', 'constant'] as const;

export type ScheduleName = (typeof scheduleNames)[number];

/** Where a warm-up may begin, the default first. */
export const warmupStarts: readonly WarmupStart[] = ['zero', 'step'];

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
  /** The rate of the first update: `zero`, or one `step` of the warm-up, so that it moves something. Default zero. */
  readonly warmupStart?: WarmupStart;
  /** The rate at the end, as a fraction of the peak. Default 0.1. */
  readonly floor?: number;
}

/** The warm-up of a run of so many steps where none is asked for. */
export function defaultWarmup(steps: number): number {
  return Math.round(steps / 10);
}

/** A learning rate schedule fitted to the length of a run. */
export function trainingSchedule(options: ScheduleOptions): Schedule {
  const { peak, steps, shape = 'cosine', floor = 0.1, warmupStart = 'zero' } = options;
  requireNumber('learningRate', peak, '[0, Infinity)');
  requireInteger('steps', steps, 1);
  requireOneOf('schedule', shape, scheduleNames);
  requireNumber('floor', floor, '[0, 1]');
  requireOneOf('warmupStart', warmupStart, warmupStarts);
  const warmup = Math.min(requireInteger('warmup', options.warmup ?? defaultWarmup(steps), 0), steps - 1);
  if (shape === 'cosine') return warmupCosine({ peak, warmup, warmupStart, total: steps, floor });
  if (shape === 'stable') {
    const decay = Math.max(1, Math.min(Math.round(steps / 5), steps - warmup));
    return warmupStableDecay({ peak, warmup, warmupStart, stable: steps - warmup - decay, decay, floor });
  }
  const rest = shape === 'constant' ? constant(peak) : linear({ from: peak, to: peak * floor, steps: steps - warmup });
  if (warmup === 0) return rest;
  return joined([
    { schedule: rising(peak, warmup, warmupStart), steps: warmup },
    { schedule: rest, steps: Number.POSITIVE_INFINITY },
  ]);
}

/** A warm-up of so many updates as a schedule of its own: the update after it is at the peak, or the last one of it is. */
function rising(peak: number, warmup: number, start: WarmupStart): Schedule {
  if (start === 'zero') return linear({ from: 0, to: peak, steps: warmup });
  return warmup === 1 ? constant(peak) : linear({ from: peak / warmup, to: peak, steps: warmup - 1 });
}
