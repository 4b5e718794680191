import type { Combine } from '@frugaljs/core';

/**
 * Keeps what the subspace misses and adds it to the next gradient, so that it is applied later: error feedback.
 *
 *     A = G + E,   d = up(rule(down(A))),   E ← A - up(down(A))
 *
 * E is added after clipping, and to the mean of accumulated gradients; an update that is skipped leaves it as it is. A
 * subspace that is fitted is fitted to A. State: one number per element, so that a subspace with feedback keeps more than
 * a plain rule without momentum.
 *
 * Source: error feedback of compressed gradients (Seide et al. 2014); with projections as in LDAdam (arXiv 2410.16103).
 */
export function feedback(): Combine<'error'> {
  return {
    kind: 'feedback',
    options: {},
    rule: null,
    tolerance: 0,
    feedsBack: 'error',
    state: () => ({ error: { extent: 'element' } }),
    apply: ({ lifted, residual }) => ({ direction: lifted, error: residual }),
  };
}
