import { type Rule, sizeOf } from '@frugaljs/core';
import { normalizedSgd, sgd, signSgd, sinkGd } from '@frugaljs/state-free';
import type { RuleClaims } from '@frugaljs/testing';

/** A factory of rules and what it claims. */
export interface Claimed {
  readonly kind: string;
  factory(options: never): Rule;
  readonly claims: RuleClaims<never>;
}

/** Every rule of the package, with what the laws hold it to. */
export const STATE_FREE_CLAIMS: readonly Claimed[] = [
  {
    kind: 'signSgd',
    factory: signSgd,
    claims: {
      permutations: 'entries',
      values: [-1, 0, 1],
      scaleInvariant: () => true,
      firstStep: Math.sign,
      recursion: () => ({ initial: [], step: g => ({ direction: Math.sign(g), state: [] }) }),
      descent: 'sign',
    },
  },
  {
    kind: 'sgd',
    factory: sgd,
    claims: {
      permutations: 'entries',
      firstStep: g => g,
      recursion: () => ({ initial: [], step: g => ({ direction: g, state: [] }) }),
      descent: 'gradient',
    },
  },
  { kind: 'normalizedSgd', factory: normalizedSgd, claims: { norm: { of: () => 1, exact: false } } },
  {
    kind: 'sinkGd',
    factory: sinkGd,
    claims: { norm: { of: shape => Math.sqrt(sizeOf(shape)), exact: true }, scaleInvariant: () => true },
  },
];
