import type { Described } from '../json.js';

/**
 * A learning rate as a function of the number of updates already made: `at(0)` is the rate of the first update. Pure,
 * in float64, and described by JSON like every other part.
 */
export interface Schedule extends Described {
  at(step: number): number;
}
