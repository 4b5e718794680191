import { requireInteger, requireKnownKeys, requireNumber } from '../options.js';
import { cosineFactor } from './cosine.js';
import type { Schedule } from './schedule.js';

export interface WarmupCosineOptions {
  readonly peak: number;
  /** Updates of linear warm-up, from 0. Default 0. */
  readonly warmup?: number;
  /** Updates in all, warm-ups included: more than `warmup`. */
  readonly total: number;
  /** Lowest rate, as a fraction of the peak. Default 0. */
  readonly floor?: number;
  /**
   * Length of one cycle, its warm-up included: more than `warmup`. When a cycle ends, the next starts with a warm-up of
   * its own. Default `total`: no restart.
   */
  readonly cycle?: number;
}

/**
 * Linear warm-up from 0, then half a cosine down to `floor · peak`, repeated every `cycle` updates. The rate of the very
 * first update is 0 when there is a warm-up: that update fills the state and chooses the subspace but moves nothing.
 * The rate of update `warmup` is the peak, and from update `total` on it stays at the floor, wherever in a cycle that is.
 */
export function warmupCosine(options: WarmupCosineOptions): Schedule {
  requireKnownKeys('warmupCosine', options, ['peak', 'warmup', 'total', 'floor', 'cycle']);
  const { peak, warmup = 0, total, floor = 0, cycle = total } = options;
  requireNumber('warmupCosine.peak', peak, '[0, Infinity)');
  requireInteger('warmupCosine.warmup', warmup, 0);
  requireInteger('warmupCosine.total', total, warmup + 1);
  requireNumber('warmupCosine.floor', floor, '[0, 1]');
  requireInteger('warmupCosine.cycle', cycle, warmup + 1);
  const at = (k: number): number => {
    if (k >= total) return peak * floor;
    const position = k % cycle;
    if (position < warmup) return (peak * position) / warmup;
    return peak * cosineFactor((position - warmup) / (cycle - warmup), floor);
  };
  return { kind: 'warmupCosine', options: { peak, warmup, total, floor, cycle }, at };
}
