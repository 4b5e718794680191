import { type Combine, matrixView, type Rule } from '@frugaljs/core';
import { sgd, signSgd } from '@frugaljs/state-free';
import { lion } from '@frugaljs/state-full';
import type { CombineClaims, WrapperClaims } from '@frugaljs/testing';
import fc from 'fast-check';
import {
  averaged,
  biasCorrected,
  cautious,
  drop,
  ema,
  feedback,
  limitGrowth,
  normalized,
  residual,
  scaled,
  scaledGradient,
  scaledResidual,
  scheduleFree,
} from '../src/index.js';

/** The learning rate that laws give to who reads it. */
const RATE = 0.1;

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

/** A factory of wrappers and what it claims. */
interface ClaimedWrapper {
  factory(rule: Rule, options: never): Rule;
  readonly claims: WrapperClaims<never>;
}

function wrapping<Options>(
  factory: (rule: Rule, options: Options) => Rule,
  claims: WrapperClaims<Options>,
): ClaimedWrapper {
  return { factory: factory as ClaimedWrapper['factory'], claims: claims as unknown as WrapperClaims<never> };
}

const sizeOfAll = (x: ArrayLike<number>): number => Math.hypot(...Array.from(x));

/** Every wrapper of the package, with the options that the laws are tried with. */
export const WRAPPER_CLAIMS: Readonly<Record<string, ClaimedWrapper>> = {
  scaled: wrapping((rule, { factor }: { readonly factor: number }) => scaled(rule, factor), {
    options: fc.record({ factor: fc.constantFrom(1, 0.5, 3, 0) }),
    neutral: ({ factor }) => factor === 1,
    formula:
      ({ factor }) =>
      direction =>
        direction.map(x => x * factor),
  }),
  limitGrowth: wrapping(
    (rule, options: { readonly factor: number; readonly epsilon: number }) => limitGrowth(rule, options),
    {
      options: fc.record({
        factor: fc.constantFrom(1.01, 1, 1.5, Number.POSITIVE_INFINITY),
        epsilon: fc.constantFrom(1e-8, 0, 0.5),
      }),
      neutral: ({ factor }) => factor === Number.POSITIVE_INFINITY,
      limit: ({ factor, epsilon }) => (Number.isFinite(factor) ? { factor, epsilon } : null),
      formula: ({ factor, epsilon }) => {
        let before = Number.POSITIVE_INFINITY;
        return direction => {
          const by =
            factor === Number.POSITIVE_INFINITY ? 1 : Math.min(1, (factor * (before + epsilon)) / sizeOfAll(direction));
          before = by * sizeOfAll(direction);
          return direction.map(x => x * by);
        };
      },
    },
  ),
  biasCorrected: wrapping(
    (rule, options: { readonly beta1: number; readonly beta2: number }) => biasCorrected(rule, options),
    {
      options: fc.record({ beta1: fc.constantFrom(0.9, 0.5, 0), beta2: fc.constantFrom(0.999, 0.5, 0) }),
      neutral: ({ beta1, beta2 }) => beta1 === 0 && beta2 === 0,
      formula:
        ({ beta1, beta2 }) =>
        (direction, _g, t) =>
          direction.map(x => (x * Math.sqrt(1 - beta2 ** t)) / (1 - beta1 ** t)),
    },
  ),
  ema: wrapping((rule, options: { readonly beta: number }) => ema(rule, options), {
    options: fc.record({ beta: fc.constantFrom(0.9, 0.5, 0) }),
    neutral: ({ beta }) => beta === 0,
    formula: ({ beta }) => {
      let average: Float64Array | null = null;
      return (direction, _g, t) => {
        const before = average ?? new Float64Array(direction.length);
        const next = before.map((a, i) => beta * a + (1 - beta) * direction[i]!);
        average = next;
        return next.map(a => a / (1 - beta ** t));
      };
    },
  }),
  averaged: wrapping((rule, options: { readonly decay: number }) => averaged(rule, options), {
    options: fc.record({ decay: fc.constantFrom(0.999, 0.5, 0) }),
    neutral: () => true,
  }),
  scheduleFree: wrapping(
    (rule, options: { readonly beta: number; readonly power: number }) => scheduleFree(rule, options),
    {
      options: fc.record({ beta: fc.constantFrom(0.9, 0.5, 1), power: fc.constantFrom(0, 1) }),
      formula: ({ beta, power }) => {
        // Relative to x₀ = y₀ = z₀ = 0, at the rate that laws give: x, y and z are 0 in all entries at first.
        let [x, y, z]: [number[], number[], number[]] = [[], [], []];
        let total = 0;
        return (direction, _g, t) => {
          total += t ** power;
          const c = t ** power / total;
          const before = direction.map((_, i) => y[i] ?? 0);
          z = Array.from(direction, (d, i) => (z[i] ?? 0) - RATE * d);
          x = z.map((each, i) => (1 - c) * (x[i] ?? 0) + c * each);
          y = z.map((each, i) => (1 - beta) * each + beta * x[i]!);
          return y.map((each, i) => (before[i]! - each) / RATE);
        };
      },
    },
  ),
  cautious: wrapping((rule, options: { readonly least: number }) => cautious(rule, options), {
    options: fc.record({ least: fc.constantFrom(1e-3, 0.5, 1) }),
    formula:
      ({ least }) =>
      (direction, g) => {
        const agrees = direction.map((x, i) => (x * g[i]! > 0 ? 1 : 0));
        const share = agrees.reduce((sum, x) => sum + x, 0) / agrees.length;
        return direction.map((x, i) => (x * agrees[i]!) / Math.max(share, least));
      },
  }),
  normalized: wrapping((rule, options: { readonly per: 'tensor' | 'row' | 'column' }) => normalized(rule, options), {
    options: fc.record({ per: fc.constantFrom('tensor' as const, 'row' as const, 'column' as const) }),
    formula:
      ({ per }, shape) =>
      direction => {
        const [, n] = matrixView(shape);
        const place = (i: number): number => (per === 'tensor' ? 0 : per === 'row' ? Math.floor(i / n) : i % n);
        const size = (i: number): number => sizeOfAll(direction.filter((_, j) => place(j) === place(i)));
        return direction.map((x, i) => (size(i) === 0 ? 0 : x / size(i)));
      },
  }),
};
