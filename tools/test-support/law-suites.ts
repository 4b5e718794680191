import {
  checkCombine,
  checkOptimizer,
  checkProjector,
  checkRule,
  checkWrapper,
  type Report,
  type RunOptions,
} from '@frugaljs/testing';
import { COMBINE_CLAIMS, WRAPPER_CLAIMS } from '../../packages/composer/test/claims.js';
import { PROJECTOR_CLAIMS } from '../../packages/projectors/test/claims.js';
import { STATE_FREE_CLAIMS } from '../../packages/state-free/test/claims.js';
import { STATE_FULL_CLAIMS } from '../../packages/state-full/test/claims.js';
import { algebraOf } from './algebra.js';

/** The laws of one part of the packages. */
export interface LawSuite {
  readonly kind: 'projector' | 'rule' | 'combine' | 'wrapper' | 'optimizer';
  readonly name: string;
  check(options: RunOptions): Promise<Report>;
}

/** Every law suite on everything built in. */
export const LAW_SUITES: readonly LawSuite[] = [
  ...Object.entries(PROJECTOR_CLAIMS).map(
    ([name, { factory, claims }]): LawSuite => ({
      kind: 'projector',
      name,
      check: options => checkProjector(factory, { ...claims, name, ...options }),
    }),
  ),
  ...[...STATE_FULL_CLAIMS, ...STATE_FREE_CLAIMS].map(
    ({ kind, factory, claims }): LawSuite => ({
      kind: 'rule',
      name: kind,
      check: options => checkRule(factory, { ...claims, name: kind, ...options }),
    }),
  ),
  ...Object.entries(COMBINE_CLAIMS).map(
    ([name, { factory, claims }]): LawSuite => ({
      kind: 'combine',
      name,
      check: options => checkCombine(factory, { ...claims, name, ...options }),
    }),
  ),
  ...Object.entries(WRAPPER_CLAIMS).map(
    ([name, { factory, claims }]): LawSuite => ({
      kind: 'wrapper',
      name,
      check: options => checkWrapper(factory, { ...claims, name, ...options }),
    }),
  ),
  {
    kind: 'optimizer',
    name: 'compose',
    check: options => checkOptimizer(algebraOf('reference'), { numRuns: 5, ...options }),
  },
];
