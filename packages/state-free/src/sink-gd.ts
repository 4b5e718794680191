import { expressionRule, requireInteger, requireKnownKeys, type StateFreeRule, type Value } from '@frugaljs/core';

export interface SinkGdOptions {
  /** Rounds L, at least 1. Default 5. */
  readonly iterations?: number;
}

/**
 * SinkGD: the gradient after L rounds of alternating normalization,
 *
 *     x ← g,   L times:  every row of x to the norm √n,  then every column to the norm √m
 *
 * for m rows and n columns, that is, to the root mean square 1. Column norms of d are then √m and ‖d‖_F = √(m n);
 * row norms approach √n. Rows and columns of zeros stay 0 and take no part. d does not change when g is multiplied by
 * a positive number.
 *
 * Tensors of rank above 2 are taken as matrices with the last axis as columns. A vector or scalar is normalized once,
 * to the root mean square 1: as a matrix of one row its second normalization would leave nothing but signs. No state.
 * The paper uses it for matrices and multiplies their learning rate by 0.05.
 *
 * @throws InvalidOptionError for an unknown option or a value outside its interval.
 * @see Scetbon et al., Gradient Multi-Normalization for Stateless and Scalable LLM Training, arXiv 2502.06742.
 */
export function sinkGd(options: SinkGdOptions = {}): StateFreeRule {
  requireKnownKeys('sinkGd', options, ['iterations']);
  const { iterations = 5 } = options;
  requireInteger('sinkGd.iterations', iterations, 1);
  return expressionRule({
    kind: 'sinkGd',
    options: { iterations },
    state: () => ({}),
    step: ({ g }, shape) => {
      if (shape.length < 2) return { direction: normalized(g, 'row') };
      let x = g;
      for (let i = 0; i < iterations; i++) x = normalized(normalized(x, 'row'), 'column');
      return { direction: x };
    },
  });
}

function normalized(x: Value, per: 'row' | 'column'): Value {
  return x.divNoNan(x.square().mean(per).sqrt());
}
