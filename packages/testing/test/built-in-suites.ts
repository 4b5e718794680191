import { checkCombine, checkOptimizer, checkProjector, checkRule, type Report } from '@frugaljs/testing';
import { builtInAlgebra } from './built-in-algebra.js';
import { BUILT_IN_COMBINES } from './built-in-combines.js';
import { BUILT_IN_PROJECTORS } from './built-in-projectors.js';
import { BUILT_IN_RULES } from './built-in-rules.js';

/** Every law suite on everything built in, as functions of a seed. */
export const SUITES: readonly ((seed: number) => Promise<Report>)[] = [
  ...Object.entries(BUILT_IN_PROJECTORS).map(
    ([name, { factory, claims }]) =>
      (seed: number): Promise<Report> =>
        checkProjector(factory, { ...claims, name, seed }),
  ),
  ...BUILT_IN_RULES.map(
    ({ kind, factory, claims }) =>
      (seed: number): Promise<Report> =>
        checkRule(factory, { ...claims, name: kind, seed }),
  ),
  ...Object.entries(BUILT_IN_COMBINES).map(
    ([name, { factory, claims }]) =>
      (seed: number): Promise<Report> =>
        checkCombine(factory, { ...claims, name, seed }),
  ),
  seed => checkOptimizer(builtInAlgebra('reference'), { seed, numRuns: 5 }),
];
