import { norm, type Rule, requireKnownKeys, requireNumber, select, type Value, wrapRule } from '@frugaljs/core';

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
