import { requireNumber } from '../options.js';
import type { Schedule } from './schedule.js';

/** The same learning rate at every step. */
export function constant(value: number): Schedule {
  requireNumber('constant.value', value, '[0, Infinity)');
  return { kind: 'constant', options: { value }, at: () => value };
}
