import type { Law } from '../law.js';
import type { Report } from '../report.js';
import { type RunOptions, runLaws } from '../run-laws.js';
import type { Algebra } from './algebra.js';
import { BASIS_REDUCTION_LAWS } from './basis-reduction-laws.js';
import { CONTINUITY_LAWS } from './continuity-laws.js';
import { DENSITY_REDUCTION_LAWS } from './density-reduction-laws.js';
import { OPTIMIZER_ENERGY_LAWS } from './energy-laws.js';
import { GRADIENT_LAWS } from './gradient-laws.js';
import { MOMENTUM_ENERGY_LAWS } from './momentum-energy-laws.js';
import { PARTITION_LAWS } from './partition-laws.js';
import { PLAIN_NUMBER_LAWS } from './plain-number-laws.js';
import { SCHEDULE_LAWS } from './schedule-laws.js';

export interface OptimizerLawOptions extends RunOptions {
  /** How reports call it. Default `optimizer`. */
  readonly name?: string;
}

/** Every law of optimizers, in the order in which they are tried. */
export const OPTIMIZER_LAWS: readonly Law<Algebra>[] = [
  ...SCHEDULE_LAWS,
  ...PLAIN_NUMBER_LAWS,
  ...GRADIENT_LAWS,
  ...DENSITY_REDUCTION_LAWS,
  ...PARTITION_LAWS,
  ...BASIS_REDUCTION_LAWS,
  ...CONTINUITY_LAWS,
  ...MOMENTUM_ENERGY_LAWS,
  ...OPTIMIZER_ENERGY_LAWS,
];

/** Tries the laws of optimizers on compositions built from an algebra, on the current tfjs backend. */
export function checkOptimizer(algebra: Algebra, options: OptimizerLawOptions = {}): Promise<Report> {
  return runLaws(options.name ?? 'optimizer', OPTIMIZER_LAWS, algebra, options);
}
