import {
  checkCombine,
  checkOptimizer,
  checkProjector,
  checkRule,
  type Report,
  type RunOptions,
} from '@frugaljs/testing';
import { algebraOf } from '../../composer/test/algebra.js';
import { COMBINE_CLAIMS } from '../../composer/test/claims.js';
import { PROJECTOR_CLAIMS } from '../../projectors/test/claims.js';
import { STATE_FREE_CLAIMS } from '../../state-free/test/claims.js';
import { STATE_FULL_CLAIMS } from '../../state-full/test/claims.js';

/** Every law suite on everything built in. */
export const SUITES: readonly ((options: RunOptions) => Promise<Report>)[] = [
  ...Object.entries(PROJECTOR_CLAIMS).map(
    ([name, { factory, claims }]) =>
      (options: RunOptions): Promise<Report> =>
        checkProjector(factory, { ...claims, name, ...options }),
  ),
  ...[...STATE_FULL_CLAIMS, ...STATE_FREE_CLAIMS].map(
    ({ kind, factory, claims }) =>
      (options: RunOptions): Promise<Report> =>
        checkRule(factory, { ...claims, name: kind, ...options }),
  ),
  ...Object.entries(COMBINE_CLAIMS).map(
    ([name, { factory, claims }]) =>
      (options: RunOptions): Promise<Report> =>
        checkCombine(factory, { ...claims, name, ...options }),
  ),
  options => checkOptimizer(algebraOf('reference'), { numRuns: 5, ...options }),
];
