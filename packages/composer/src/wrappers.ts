import {
  norm,
  type Rule,
  requireKnownKeys,
  requireNumber,
  requireOneOf,
  select,
  type Value,
  wrapRule,
} from '@frugaljs/core';

// What changes the direction of any rule: one function each, made with wrapRule() of core.

export interface LimitGrowthOptions {
  /** γ: the norm of a direction is at most γ times that of the one before. `Infinity` limits nothing. Default 1.01. */
  readonly factor?: number;
  /** Added to the norm before, so that a direction of zeros does not hold all later ones. Default 1e-8. */
  readonly epsilon?: number;
}

/**
 * Limits how fast the direction of a rule grows, the norm-growth limiter of Fira and APOLLO:
 *
 *     d ← d · min(1, γ (‖d_prev‖ + ε) / ‖d‖)
 *
 * with d_prev the limited direction of the step before; the first one is not limited. State: one number per parameter,
 * the norm before (-1 when there is none yet).
 *
 * @throws InvalidOptionError for what is no rule, an unknown option or a value out of range.
 *
 * Source: Fira (arXiv 2410.01623), section 4.3.
 */
export function limitGrowth<R extends Rule>(rule: R, options: LimitGrowthOptions = {}): R {
  const { factor, epsilon } = requireLimit('limitGrowth', options);
  return wrapRule<'previous', never>(rule, {
    kind: 'limitGrowth',
    // JSON has no infinity.
    options: { factor: Number.isFinite(factor) ? factor : null, epsilon },
    state: () => ({ previous: NORM_BEFORE }),
    step: ({ direction, previous }) => {
      const limited = limitedGrowth(direction, previous, factor, epsilon);
      return { direction: limited.value, previous: limited.norm };
    },
  }) as R;
}

/** The slot of the norm before. */
export const NORM_BEFORE = { extent: 'tensor', initial: -1 } as const;

/** A value whose norm grows by a factor at most, and that norm. */
export function limitedGrowth(
  value: Value,
  previous: Value,
  factor: number,
  epsilon: number,
): { readonly value: Value; readonly norm: Value } {
  const size = norm(value);
  if (factor === Number.POSITIVE_INFINITY) return { value, norm: size };
  const limit = previous.add(epsilon).mul(factor);
  const isLimited = previous.greaterEqual(0).mul(size.greater(limit));
  return { value: value.mul(select(isLimited, limit.div(size), 1)), norm: select(isLimited, limit, size) };
}

/** The options of a limiter, checked; null stands for Infinity, as in JSON. */
export function requireLimit(owner: string, options: LimitGrowthOptions): Required<LimitGrowthOptions> {
  requireKnownKeys(owner, options, ['factor', 'epsilon']);
  const { factor: given = 1.01, epsilon = 1e-8 } = options;
  const factor = given ?? Number.POSITIVE_INFINITY;
  requireNumber(`${owner}.factor`, factor, '[1, Infinity]');
  requireNumber(`${owner}.epsilon`, epsilon, '[0, Infinity)');
  return { factor, epsilon };
}

export interface BiasCorrectedOptions {
  /** Default 0.9. */
  readonly beta1?: number;
  /** Default 0.999. */
  readonly beta2?: number;
}

/**
 * Adam's correction of bias, on the direction of a whole composition:
 *
 *     d ← d · √(1 - β₂ᵗ) / (1 - β₁ᵗ)
 *
 * with t the steps of the rule. Fira and APOLLO correct the step size, after the norms were taken and their growth was
 * limited; with `adamW({ biasCorrection: false })` inside and this around, a composition does so too. No state.
 *
 * @throws InvalidOptionError for what is no rule, an unknown option or a value out of range.
 */
export function biasCorrected<R extends Rule>(rule: R, options: BiasCorrectedOptions = {}): R {
  requireKnownKeys('biasCorrected', options, ['beta1', 'beta2']);
  const { beta1 = 0.9, beta2 = 0.999 } = options;
  requireNumber('biasCorrected.beta1', beta1, '[0, 1)');
  requireNumber('biasCorrected.beta2', beta2, '[0, 1)');
  return wrapRule<never, 'correction'>(rule, {
    kind: 'biasCorrected',
    options: { beta1, beta2 },
    scalars: t => ({ correction: Math.sqrt(1 - beta2 ** t) / (1 - beta1 ** t) }),
    step: ({ direction, correction }) => ({ direction: direction.mul(correction) }),
  }) as R;
}

export interface CautiousOptions {
  /** The share of entries that keep their direction counts as this at least. Default 1e-3. */
  readonly least?: number;
}

/**
 * Leaves out the entries of a direction that point against the gradient, and scales the rest up to make up for them:
 *
 *     mask = 1 where d · g > 0, else 0,   d ← d · mask / max(mean(mask), least)
 *
 * No state.
 *
 * @throws InvalidOptionError for what is no rule, an unknown option or a value out of range.
 *
 * Source: Cautious Optimizers (arXiv 2411.16085), Algorithm 1 and its public code.
 */
export function cautious<R extends Rule>(rule: R, options: CautiousOptions = {}): R {
  requireKnownKeys('cautious', options, ['least']);
  const { least = 1e-3 } = options;
  requireNumber('cautious.least', least, '(0, 1]');
  return wrapRule(rule, {
    kind: 'cautious',
    options: { least },
    step: ({ g, direction }) => {
      // The product of two small numbers would be 0.
      const agrees = g.sign().mul(direction.sign()).greater(0);
      return { direction: select(agrees, direction.div(agrees.mean().maximum(least)), 0) };
    },
  }) as R;
}

export interface EmaOptions {
  /** Default 0.9. */
  readonly beta?: number;
}

/**
 * Replaces the direction of a rule by its average over the steps:
 *
 *     a ← β a + (1 - β) d,   d ← a / (1 - βᵗ)
 *
 * State: one number per element. With `sgd()` inside this is momentum with correction of bias.
 *
 * @throws InvalidOptionError for what is no rule, an unknown option or a value out of range.
 */
export function ema<R extends Rule>(rule: R, options: EmaOptions = {}): R {
  requireKnownKeys('ema', options, ['beta']);
  const { beta = 0.9 } = options;
  requireNumber('ema.beta', beta, '[0, 1)');
  return wrapRule<'average', 'correction'>(rule, {
    kind: 'ema',
    options: { beta },
    state: () => ({ average: { extent: 'element' } }),
    scalars: t => ({ correction: 1 / (1 - beta ** t) }),
    step: ({ direction, average, correction }) => {
      const next = average.mul(beta).add(direction.mul(1 - beta));
      return { direction: next.mul(correction), average: next };
    },
  }) as R;
}

const PER = ['tensor', 'row', 'column'] as const;

export interface NormalizedOptions {
  /** What has the norm 1: the whole direction, or each row or column of it. Default `tensor`. */
  readonly per?: (typeof PER)[number];
  /** `l2`: the square root of the sum of squares. `rms`: of their mean, so that entries have size 1. Default `l2`. */
  readonly size?: (typeof SIZES)[number];
}

const SIZES = ['l2', 'rms'] as const;

/**
 * Gives the direction of a rule the norm 1, or the root mean square 1: d ← d / ‖d‖, of the whole or of each row or column;
 * zeros stay zeros. With the norm, the learning rate is the length of a step. No state.
 *
 * @throws InvalidOptionError for what is no rule, an unknown option or a value out of range.
 */
export function normalized<R extends Rule>(rule: R, options: NormalizedOptions = {}): R {
  requireKnownKeys('normalized', options, ['per', 'size']);
  const size = requireOneOf('normalized.size', options.size ?? 'l2', SIZES);
  const per = requireOneOf('normalized.per', options.per ?? 'tensor', PER);
  return wrapRule(rule, {
    kind: 'normalized',
    options: { per, size },
    step: ({ direction }) => {
      if (size === 'l2') return { direction: direction.divNoNan(norm(direction, per)) };
      const largest = direction.abs().max(per);
      const scaledDown = direction.divNoNan(largest);
      return { direction: scaledDown.divNoNan(scaledDown.square().mean(per).sqrt()) };
    },
  }) as R;
}

/**
 * Multiplies the direction of a rule: d ← factor · d. No state. For a whole group, `lrScale` does the same; this is for a
 * rule inside a composition.
 *
 * @throws InvalidOptionError for what is no rule, or a factor below 0.
 */
export function scaled<R extends Rule>(rule: R, factor: number): R {
  requireNumber('scaled.factor', factor, '[0, Infinity)');
  return wrapRule(rule, {
    kind: 'scaled',
    options: { factor },
    step: ({ direction }) => ({ direction: direction.mul(factor) }),
  }) as R;
}
