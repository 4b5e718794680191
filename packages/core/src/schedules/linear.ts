import { requireInteger, requireNumber } from '../options.js';
import type { Schedule } from './schedule.js';

export interface LinearOptions {
  readonly from: number;
  readonly to: number;
  /** Updates from `from` to `to`. */
  readonly steps: number;
}

/** from + (to - from) · min(k / steps, 1). */
export function linear({ from, to, steps }: LinearOptions): Schedule {
  requireNumber('linear.from', from, '[0, Infinity)');
  requireNumber('linear.to', to, '[0, Infinity)');
  requireInteger('linear.steps', steps, 1);
  return { kind: 'linear', options: { from, to, steps }, at: k => from + (to - from) * Math.min(k / steps, 1) };
}
