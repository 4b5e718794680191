import { type Combine, norm, requireKnownKeys, requireNumber, requireOneOf } from '@frugaljs/core';

const PER = ['channel', 'tensor'] as const;

export interface ScaledGradientOptions {
  /** What has a factor of its own: each row or column that the projector keeps, or the whole. Default `channel`. */
  readonly per?: (typeof PER)[number];
  /** Factor on the direction. Default 1. */
  readonly scale?: number;
}

/**
 * Steps by the raw gradient, with the factor by which the rule in the subspace changes the size of the gradient there:
 *
 *     s = ‖N‖ / (‖R‖ + 1e-8),   d = scale · s ⊙ G
 *
 * with R = down(G) and N the direction found for it. Nothing is projected back, so that a sketch will do for a basis. No
 * state of its own.
 *
 * @throws InvalidOptionError for an unknown option or a value out of range.
 *
 * Source: APOLLO (arXiv 2412.05270), Algorithm 1.
 */
export function scaledGradient(options: ScaledGradientOptions = {}): Combine<never, 'ratio'> {
  requireKnownKeys('scaledGradient', options, ['per', 'scale']);
  const { scale = 1 } = options;
  const per = requireOneOf('scaledGradient.per', options.per ?? 'channel', PER);
  requireNumber('scaledGradient.scale', scale, '[0, Infinity)');
  return {
    kind: 'scaledGradient',
    options: { per, scale },
    rule: null,
    tolerance: 0,
    state: () => ({}),
    measure: ({ low, lowDirection }, site) => {
      const each = per === 'tensor' ? 'tensor' : site.per;
      return { ratio: norm(lowDirection, each).div(norm(low, each).add(1e-8)) };
    },
    apply: ({ g, ratio }) => ({ direction: g.mul(ratio).mul(scale) }),
  };
}
