import { expressionRule, requireKnownKeys, requireNumber, requireOneOf, type StateFreeRule } from '@frugaljs/core';

export interface NormalizedSgdOptions {
  /** What is divided by its norm: the whole tensor, each row or each column. Default `tensor`. */
  readonly per?: 'tensor' | 'row' | 'column';
  /** `l2`: the square root of the sum of squares. `rms`: of their mean, so that entries have size 1. Default `l2`. */
  readonly norm?: 'l2' | 'rms';
  /** Added to the norm, at least 0. Default 1e-8. With 0 a block of zeros stays 0. */
  readonly epsilon?: number;
}

/**
 * Normalized SGD: d = g / (‖g‖ + ε), the norm taken over the tensor, each row or each column.
 *
 * Any shape; tensors of rank above 2 have the last axis as columns, vectors are one row. No state. The norm of every
 * block of d is below 1 (`l2`: ‖d‖₂ ≤ 1; `rms`: RMS(d) ≤ 1) and a zero gradient gives 0. For matrices (out, in) a row
 * is an output; for the (in, out) kernels of tf.layers a column is. The squares of gradients below 1e-19 leave the
 * range of float32 and count as 0.
 *
 * @throws InvalidOptionError for an unknown option or a value outside its interval.
 * @see Hazan, Levy and Shalev-Shwartz, Beyond Convexity: Stochastic Quasi-Convex Optimization, arXiv 1507.02030
 *   (`tensor`); Glentis et al., SCALE, arXiv 2506.16659 (`column`).
 */
export function normalizedSgd(options: NormalizedSgdOptions = {}): StateFreeRule {
  requireKnownKeys('normalizedSgd', options, ['per', 'norm', 'epsilon']);
  const { per = 'tensor', norm = 'l2', epsilon = 1e-8 } = options;
  requireOneOf('normalizedSgd.per', per, ['tensor', 'row', 'column']);
  requireOneOf('normalizedSgd.norm', norm, ['l2', 'rms']);
  requireNumber('normalizedSgd.epsilon', epsilon, '[0, Infinity)');
  return expressionRule({
    kind: 'normalizedSgd',
    options: { per, norm, epsilon },
    state: () => ({}),
    step: ({ g }) => {
      const squares = g.square();
      const root = (norm === 'l2' ? squares.sum(per) : squares.mean(per)).sqrt();
      return { direction: epsilon === 0 ? g.divNoNan(root) : g.div(root.add(epsilon)) };
    },
  });
}
