import { type Combine, norm, requireKnownKeys, requireNumber } from '@frugaljs/core';
import { type LimitGrowthOptions, limitedGrowth, NORM_BEFORE, requireLimit } from '../wrappers.js';

export interface ScaledResidualOptions extends LimitGrowthOptions {
  /** Factor on the direction of the subspace. Default 1. */
  readonly scale?: number;
  /** How much of the projected gradient is left out of the residual. Default 1. */
  readonly share?: number;
}

/**
 * Steps on what the subspace misses by the raw gradient, with the factor by which the rule in the subspace changes the
 * size of the gradient there. With R = down(G) and N the direction found for it, and norms taken of each row (or column)
 * that the projector keeps:
 *
 *     φ = ‖N‖ / (‖R‖ + 1e-8)
 *     S = φ ⊙ (G - share · up(R)), its growth limited as by `limitGrowth`
 *     d = scale · up(N) + S
 *
 * State: one number per parameter, the norm of S before. With a projector of coordinates that keeps no axis (`randK`), φ
 * is one number. The official code has its α in the place of `scale` and of `share`; the paper has α times the whole,
 * which is a group's `lrScale`.
 *
 * @throws InvalidOptionError for an unknown option or a value out of range.
 *
 * Source: Fira (arXiv 2410.01623), equations 8 to 11, and its public code.
 */
export function scaledResidual(options: ScaledResidualOptions = {}): Combine<'previous', 'ratio'> {
  requireKnownKeys('scaledResidual', options, ['factor', 'epsilon', 'scale', 'share']);
  const { scale = 1, share = 1, ...limit } = options;
  requireNumber('scaledResidual.scale', scale, '[0, Infinity)');
  requireNumber('scaledResidual.share', share, '[0, Infinity)');
  const { factor, epsilon } = requireLimit('scaledResidual', limit);
  return {
    kind: 'scaledResidual',
    options: { factor: Number.isFinite(factor) ? factor : null, epsilon, scale, share },
    rule: null,
    // The raw gradient gives rounding noise no weight.
    tolerance: 0,
    share,
    state: () => ({ previous: NORM_BEFORE }),
    measure: ({ low, lowDirection }, { per }) => ({
      ratio: norm(lowDirection, per).div(norm(low, per).add(1e-8)),
    }),
    apply: ({ lifted, residual, ratio, previous }) => {
      const limited = limitedGrowth(residual.mul(ratio), previous, factor, epsilon);
      return { direction: lifted.mul(scale).add(limited.value), previous: limited.norm };
    },
  };
}
