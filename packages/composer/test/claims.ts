import type { Combine } from '@frugaljs/core';
import { sgd, signSgd } from '@frugaljs/state-free';
import { lion } from '@frugaljs/state-full';
import type { CombineClaims } from '@frugaljs/testing';
import fc from 'fast-check';
import { drop, residual } from '../src/index.js';

const RULES = { signSgd, sgd, lion };

interface Residual {
  readonly rule: keyof typeof RULES;
  readonly scale: number;
}

/** What `residual` claims. */
const RESIDUAL_CLAIMS: CombineClaims<Residual> = {
  options: fc.record({
    rule: fc.constantFrom('signSgd' as const, 'sgd' as const, 'lion' as const),
    scale: fc.constantFrom(1, 0.25, 0),
  }),
  scale: ({ scale }) => scale,
};

/** Every combine of the package, with the options that the laws are tried with. */
export const COMBINE_CLAIMS: Readonly<
  Record<string, { factory(options: never): Combine; readonly claims: CombineClaims<never> }>
> = {
  drop: { factory: () => drop(), claims: { scale: () => 0 } },
  residual: {
    factory: ({ rule, scale }: Residual) => residual(RULES[rule](), { scale }),
    claims: RESIDUAL_CLAIMS as unknown as CombineClaims<never>,
  },
};
