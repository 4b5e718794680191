import { requireInteger, requireKnownKeys, requireNumber } from '../options.js';
import { cosTurns } from '../random/elementary.js';
import type { Schedule } from './schedule.js';

export interface CosineOptions {
  readonly peak: number;
  /** Updates from the peak to the floor, where the rate stays. */
  readonly steps: number;
  /** Lowest rate, as a fraction of the peak. Default 0. */
  readonly floor?: number;
}

/** peak · (floor + (1 - floor) · (1 + cos(π · min(k / steps, 1))) / 2). */
export function cosine(options: CosineOptions): Schedule {
  requireKnownKeys('cosine', options, ['peak', 'steps', 'floor']);
  const { peak, steps, floor = 0 } = options;
  requireNumber('cosine.peak', peak, '[0, Infinity)');
  requireInteger('cosine.steps', steps, 1);
  requireNumber('cosine.floor', floor, '[0, 1]');
  return { kind: 'cosine', options: { peak, steps, floor }, at: k => peak * cosineFactor(k / steps, floor) };
}

/** Falls from 1 at progress 0 to `floor` at progress 1 along half a cosine. */
export function cosineFactor(progress: number, floor: number): number {
  return floor + (1 - floor) * 0.5 * (1 + cosTurns(Math.min(Math.max(progress, 0), 1) / 2));
}
