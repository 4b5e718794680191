import type { Combine } from '@frugaljs/core';
import { sgd, signSgd } from '@frugaljs/state-free';
import { lion } from '@frugaljs/state-full';
import type { CombineClaims } from '@frugaljs/testing';
import fc from 'fast-check';
import { drop, feedback, residual, scaledGradient, scaledResidual } from '../src/index.js';

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

interface ScaledResidual {
  readonly factor: number;
  readonly epsilon: number;
  readonly scale: number;
  readonly share: number;
}

/** What `scaledResidual` claims. */
const SCALED_RESIDUAL_CLAIMS: CombineClaims<ScaledResidual> = {
  options: fc.record({
    factor: fc.constantFrom(1.01, 1, 1.5, Number.POSITIVE_INFINITY),
    epsilon: fc.constantFrom(1e-8, 0),
    scale: fc.constantFrom(1, 0.25),
    share: fc.constantFrom(1, 0.25, 0),
  }),
  scale: () => 0,
  liftedScale: ({ scale }) => scale,
  measureDegree: 0,
  limit: ({ factor, epsilon }) => (Number.isFinite(factor) ? { factor, epsilon } : null),
};

interface ScaledGradient {
  readonly per: 'channel' | 'tensor';
  readonly scale: number;
}

/** What `scaledGradient` claims. */
const SCALED_GRADIENT_CLAIMS: CombineClaims<ScaledGradient> = {
  options: fc.record({ per: fc.constantFrom('channel' as const, 'tensor' as const), scale: fc.constantFrom(1, 3) }),
  scale: () => 0,
  liftedScale: null,
  measureDegree: 0,
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
  scaledResidual: {
    factory: (options: ScaledResidual) => scaledResidual(options),
    claims: SCALED_RESIDUAL_CLAIMS as unknown as CombineClaims<never>,
  },
  scaledGradient: {
    factory: (options: ScaledGradient) => scaledGradient(options),
    claims: SCALED_GRADIENT_CLAIMS as unknown as CombineClaims<never>,
  },
  feedback: { factory: () => feedback(), claims: { scale: () => 0 } },
};
