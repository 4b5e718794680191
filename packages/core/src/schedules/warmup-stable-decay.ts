import { requireInteger, requireKnownKeys, requireNumber } from '../options.js';
import type { Schedule } from './schedule.js';

export interface WarmupStableDecayOptions {
  readonly peak: number;
  /** Updates of linear warm-up, from 0. Default 0. */
  readonly warmup?: number;
  /** Updates at the peak. */
  readonly stable: number;
  /** Updates of linear decay. */
  readonly decay: number;
  /** Lowest rate, as a fraction of the peak. Default 0. */
  readonly floor?: number;
}

/**
 * Linear warm-up from 0, a plateau at the peak, then linear decay to `floor · peak`, where it stays. The rate of update
 * `warmup + stable` is still the peak, that of `warmup + stable + decay` the floor.
 */
export function warmupStableDecay(options: WarmupStableDecayOptions): Schedule {
  requireKnownKeys('warmupStableDecay', options, ['peak', 'warmup', 'stable', 'decay', 'floor']);
  const { peak, warmup = 0, stable, decay, floor = 0 } = options;
  requireNumber('warmupStableDecay.peak', peak, '[0, Infinity)');
  requireInteger('warmupStableDecay.warmup', warmup, 0);
  requireInteger('warmupStableDecay.stable', stable, 0);
  requireInteger('warmupStableDecay.decay', decay, 1);
  requireNumber('warmupStableDecay.floor', floor, '[0, 1]');
  const at = (k: number): number => {
    if (k < warmup) return (peak * k) / warmup;
    const past = Math.min(Math.max((k - warmup - stable) / decay, 0), 1);
    return peak * (floor + (1 - floor) * (1 - past));
  };
  return { kind: 'warmupStableDecay', options: { peak, warmup, stable, decay, floor }, at };
}
