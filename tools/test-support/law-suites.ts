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
  /** Where numbers cannot be read at once it is refused. */
  readonly reads: boolean;
  check(options: RunOptions): Promise<Report>;
}

/** Every law suite on everything built in. */
export const LAW_SUITES: readonly LawSuite[] = [
  ...Object.entries(PROJECTOR_CLAIMS).map(
    ([name, { factory, claims, reads = false }]): LawSuite => ({
      kind: 'projector',
      name,
      reads,
      check: options => checkProjector(factory, { ...claims, name, ...options }),
    }),
  ),
  ...[...STATE_FULL_CLAIMS, ...STATE_FREE_CLAIMS].map(
    ({ kind, factory, claims }): LawSuite => ({
      kind: 'rule',
      name: kind,
      reads: false,
      check: options => checkRule(factory, { ...claims, name: kind, ...options }),
    }),
  ),
  ...Object.entries(COMBINE_CLAIMS).map(
    ([name, { factory, claims }]): LawSuite => ({
      kind: 'combine',
      name,
      reads: false,
      check: options => checkCombine(factory, { ...claims, name, ...options }),
    }),
  ),
  ...Object.entries(WRAPPER_CLAIMS).map(
    ([name, { factory, claims }]): LawSuite => ({
      kind: 'wrapper',
      name,
      reads: false,
      check: options => checkWrapper(factory, { ...claims, name, ...options }),
    }),
  ),
  {
    kind: 'optimizer',
    name: 'compose',
    reads: false,
    check: options => checkOptimizer(algebraOf('reference'), { numRuns: 5, ...options }),
  },
];
