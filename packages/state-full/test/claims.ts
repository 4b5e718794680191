import type { Rule } from '@frugaljs/core';
import {
  adafactor,
  adagrad,
  adaLayer,
  adamMini,
  adamW,
  factoredAdamW,
  foam,
  ldAdam,
  lion,
  muon,
  oneSidedAdafactor,
  rmsprop,
  sgdm,
  soap,
} from '@frugaljs/state-full';
import type { Recursion, RuleClaims } from '@frugaljs/testing';
import fc from 'fast-check';

/** A factory of rules and what it claims. */
export interface Claimed {
  readonly kind: string;
  factory(options: never): Rule;
  readonly claims: RuleClaims<never>;
}

function claimed<Options>(
  kind: string,
  factory: (options: Options) => Rule,
  claims: RuleClaims<Options> = {},
): Claimed {
  return { kind, factory: factory as Claimed['factory'], claims: claims as unknown as RuleClaims<never> };
}

export interface Adam {
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly epsilonPlacement: 'afterCorrection' | 'beforeCorrection';
}

const epsilon = fc.constantFrom(1e-8, 0, 1e-6);
const betas = { beta1: fc.constantFrom(0.9, 0, 0.5), beta2: fc.constantFrom(0.999, 0.95) };
const adamOptions: fc.Arbitrary<Adam> = fc.record({
  ...betas,
  epsilon,
  epsilonPlacement: fc.constantFrom('afterCorrection' as const, 'beforeCorrection' as const),
});

/** Adam in plain numbers (Kingma and Ba, Algorithm 1). */
function adamRecursion({ beta1, beta2, epsilon: e, epsilonPlacement }: Adam): Recursion {
  return {
    initial: [0, 0],
    step: (g, [m, v], t) => {
      const nextM = beta1 * m! + (1 - beta1) * g;
      const nextV = beta2 * v! + (1 - beta2) * g * g;
      const [c1, c2] = [1 - beta1 ** t, Math.sqrt(1 - beta2 ** t)];
      const root = epsilonPlacement === 'afterCorrection' ? Math.sqrt(nextV) / c2 + e : (Math.sqrt(nextV) + e) / c2;
      return { direction: nextM === 0 ? 0 : nextM / c1 / root, state: [nextM, nextV] };
    },
  };
}

/**
 * The largest |m̂|/√v̂ of Adam at step t: m and v are weighted sums of the gradients and of their squares, so by
 * Cauchy–Schwarz m² ≤ v (1-β₁)²/(1-β₂) Σ qⁱ over i < t, q = β₁²/β₂, and some gradients attain it (Kingma and Ba, Section
 * 2.1, give its limits).
 */
function adamBound(t: number, { beta1, beta2 }: Adam): number {
  const q = beta1 ** 2 / beta2;
  return (
    (((1 - beta1) / Math.sqrt(1 - beta2)) * Math.sqrt((1 - q ** t) / (1 - q)) * Math.sqrt(1 - beta2 ** t)) /
    (1 - beta1 ** t)
  );
}

/** What AdamW claims. */
export const ADAM_CLAIMS: RuleClaims<Adam> = {
  options: adamOptions,
  permutations: 'entries',
  scaleInvariant: options => options.epsilon === 0,
  bound: adamBound,
  firstStep: (g, { epsilon: e, epsilonPlacement, beta2 }) => {
    const effective = epsilonPlacement === 'afterCorrection' ? e : e / Math.sqrt(1 - beta2);
    return g === 0 ? 0 : g / (Math.abs(g) + effective);
  },
  recursion: adamRecursion,
};

const lionOptions = fc.record({ beta1: fc.constantFrom(0.9, 0, 0.5), beta2: fc.constantFrom(0.99, 0.5) });

/** What Lion claims. */
export const LION_CLAIMS: RuleClaims<{ beta1: number; beta2: number }> = {
  options: lionOptions,
  permutations: 'entries',
  values: [-1, 0, 1],
  bound: () => 1,
  scaleInvariant: () => true,
  firstStep: Math.sign,
  recursion: ({ beta1, beta2 }) => ({
    initial: [0],
    step: (g, [m]) => ({
      direction: Math.sign(beta1 * m! + (1 - beta1) * g),
      state: [beta2 * m! + (1 - beta2) * g],
    }),
  }),
};

interface Momentum {
  readonly momentum: number;
  readonly convention: 'pytorch' | 'ema';
  readonly nesterov: boolean;
}

/** Every rule of the package, with the options that the laws are tried with. */
export const STATE_FULL_CLAIMS: readonly Claimed[] = [
  claimed('adamW', adamW, ADAM_CLAIMS),
  claimed('lion', lion, LION_CLAIMS),
  claimed('sgdm', sgdm, {
    options: fc.record({
      momentum: fc.constantFrom(0.9, 0, 0.5),
      convention: fc.constantFrom('pytorch' as const, 'ema' as const),
      nesterov: fc.constant(false),
    }) as fc.Arbitrary<Momentum>,
    permutations: 'entries',
    recursion: ({ momentum, convention }) => ({
      initial: [0],
      step: (g, [m]) => {
        const next = momentum * m! + (convention === 'ema' ? 1 - momentum : 1) * g;
        return { direction: next, state: [next] };
      },
    }),
  }),
  claimed('adaLayer', adaLayer, { options: fc.record({ per: fc.constantFrom('tensor', 'row', 'column') }) as never }),
  claimed('adafactor', adafactor, {
    options: fc.record({ beta1: fc.constantFrom(null, 0.9) }),
    rankOneExact: true,
  }),
  claimed('factoredAdamW', factoredAdamW, { rankOneExact: true }),
  claimed('oneSidedAdafactor', oneSidedAdafactor),
  claimed('rmsprop', rmsprop, { permutations: 'entries' }),
  claimed('adagrad', adagrad, {
    options: fc.record({
      epsilon: fc.constantFrom(1e-10, 0),
      initialAccumulator: fc.constantFrom(0, 0.125),
      learningRateDecay: fc.constantFrom(0, 0.5),
    }),
    permutations: 'entries',
    scaleInvariant: ({ epsilon: e, initialAccumulator }) => e === 0 && initialAccumulator === 0,
    bound: () => 1,
    recursion: ({ epsilon: e, initialAccumulator, learningRateDecay }) => ({
      initial: [initialAccumulator],
      step: (g, [s], t) => {
        const sum = s! + g * g;
        const direction = g === 0 ? 0 : g / (Math.sqrt(sum) + e) / (1 + learningRateDecay * (t - 1));
        return { direction, state: [sum] };
      },
    }),
  }),
  claimed('adamMini', adamMini, { parameters: 'at least 2 axes' }),
  claimed('foam', foam, {
    options: fc.record({
      level: fc.constantFrom(1, 2, 3),
      epsilon,
      ...betas,
      residualScale: fc.constantFrom(1, 0.5, 0),
    }),
    permutations: 'rows',
    mixesEntries: true,
    scaleInvariant: options => options.epsilon === 0,
  }),
  claimed('muon', muon, {
    parameters: 'matrix',
    mixesEntries: true,
    permutations: 'none',
    spectralNorm: shape => 1.21 * Math.sqrt(Math.max(1, Math.max(...shape) / Math.min(...shape))),
  }),
  claimed('ldAdam', ldAdam, {
    parameters: 'matrix',
    options: fc.record({
      density: fc.constantFrom(0.25, 0.5, 1),
      side: fc.constantFrom('std' as const, 'reverse_std' as const, 'left' as const, 'right' as const),
      feedback: fc.boolean(),
    }),
    mixesEntries: true,
    permutations: 'none',
  }),
  claimed('soap', soap, {
    parameters: 'matrix',
    options: fc.record({
      every: fc.constantFrom(1, 2),
      epsilon,
      maxDimension: fc.constantFrom(10_000, 4),
      biasCorrection: fc.boolean(),
    }),
    mixesEntries: true,
    permutations: 'none',
  }),
];
