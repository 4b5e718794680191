import { requireInteger, requireKnownKeys, requireNumber } from '../options.js';
import type { Schedule } from './schedule.js';

export interface LinearOptions {
  readonly from: number;
  readonly to: number;
  /** Updates from `from` to `to`. */
  readonly steps: number;
}

/** (1 - p) · from + p · to with p = min(k / steps, 1): `from` at first, and exactly `to` from update `steps` on. */
export function linear(options: LinearOptions): Schedule {
  requireKnownKeys('linear', options, ['from', 'to', 'steps']);
  const { from, to, steps } = options;
  requireNumber('linear.from', from, '[0, Infinity)');
  requireNumber('linear.to', to, '[0, Infinity)');
  requireInteger('linear.steps', steps, 1);
  const at = (k: number): number => {
    const progress = Math.min(k / steps, 1);
    return (1 - progress) * from + progress * to;
  };
  return { kind: 'linear', options: { from, to, steps }, at };
}
