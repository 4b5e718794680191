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

/** The laws of one part of the packages. */
export interface Suite {
  readonly name: string;
  check(options: RunOptions): Promise<Report>;
}

/** Every law suite on everything built in. */
export const SUITES: readonly Suite[] = [
  ...Object.entries(PROJECTOR_CLAIMS).map(
    ([name, { factory, claims }]): Suite => ({
      name,
      check: options => checkProjector(factory, { ...claims, name, ...options }),
    }),
  ),
  ...[...STATE_FULL_CLAIMS, ...STATE_FREE_CLAIMS].map(
    ({ kind, factory, claims }): Suite => ({
      name: kind,
      check: options => checkRule(factory, { ...claims, name: kind, ...options }),
    }),
  ),
  ...Object.entries(COMBINE_CLAIMS).map(
    ([name, { factory, claims }]): Suite => ({
      name,
      check: options => checkCombine(factory, { ...claims, name, ...options }),
    }),
  ),
  { name: 'compose', check: options => checkOptimizer(algebraOf('reference'), { numRuns: 5, ...options }) },
];
