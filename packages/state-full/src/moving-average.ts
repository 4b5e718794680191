import type { Value } from '@frugaljs/core';

/** Exponential moving average: β · previous + (1 - β) · next. */
export function movingAverage(previous: Value, next: Value, beta: number): Value {
  return previous.mul(beta).add(next.mul(1 - beta));
}
