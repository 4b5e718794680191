import {
  type ExpressionRule,
  expressionRule,
  matrixView,
  requireKnownKeys,
  requireNumber,
  requireOneOf,
  type Shape,
} from '@frugaljs/core';
import { adaptiveDirection, biasCorrections, movingAverage } from './moments.js';

/** How a block of N squares becomes one number: their mean, or their sum over √N as in FRUGAL's re-implementation. */
export type BlockNormalization = 'mean' | 'sqrtNumel';

export interface AdaLayerOptions {
  /** Decay of the first moment, in [0, 1). Default 0.9. */
  readonly beta1?: number;
  /** Decay of the second moment, in [0, 1). Default 0.95. */
  readonly beta2?: number;
  /** Added to the denominator, at least 0. Default 1e-15. */
  readonly epsilon?: number;
  /**
   * What shares one second moment. Default `tensor`. The corrected AdaLayer takes one per output for the last layer:
   * `row` for matrices (out, in), `column` for the (in, out) kernels of tf.layers.
   */
  readonly per?: 'tensor' | 'row' | 'column';
  /** Default `mean`. */
  readonly normalization?: BlockNormalization;
}

/**
 * AdaLayer: Adam with one second moment per layer instead of one per entry.
 *
 *     m ← β₁ m + (1 - β₁) g,   v ← β₂ v + (1 - β₂) mean(g²),   d = m / (1 - β₁ᵗ) / (√v / √(1 - β₂ᵗ) + ε)
 *
 * where the mean is over the tensor, each row or each column. With `sqrtNumel` mean(g²) = Σ g² / N becomes Σ g² / √N,
 * which divides the step by N^¼ (22.6 for 512 × 512). On blocks of one entry it is Adam.
 *
 * Any shape; tensors of rank above 2 have the last axis as columns, vectors are one row. State: `m` per element and `v`
 * per tensor, row or column: 4 (size + 1), 4 (size + rows) or 4 (size + columns) bytes.
 *
 * The layers that the paper's section 3.2 leaves without a second moment take
 * `sgdm({ convention: 'ema', biasCorrection: true })`.
 *
 * @throws InvalidOptionError for an unknown option or a value outside its interval.
 * @see Zhao et al., Deconstructing What Makes a Good Optimizer for Language Models, arXiv 2407.07972, Algorithm 1 and
 *   section 3.2.
 */
export function adaLayer(options: AdaLayerOptions = {}): ExpressionRule<'m' | 'v'> {
  requireKnownKeys('adaLayer', options, ['beta1', 'beta2', 'epsilon', 'per', 'normalization']);
  const { beta1 = 0.9, beta2 = 0.95, epsilon = 1e-15, per = 'tensor', normalization = 'mean' } = options;
  requireNumber('adaLayer.beta1', beta1, '[0, 1)');
  requireNumber('adaLayer.beta2', beta2, '[0, 1)');
  requireNumber('adaLayer.epsilon', epsilon, '[0, Infinity)');
  requireOneOf('adaLayer.per', per, ['tensor', 'row', 'column']);
  requireOneOf('adaLayer.normalization', normalization, ['mean', 'sqrtNumel']);
  return expressionRule({
    kind: 'adaLayer',
    options: { beta1, beta2, epsilon, per, normalization },
    state: () => ({ m: { extent: 'element' }, v: { extent: per, degree: 2 } }),
    scalars: (t, shape) => ({
      ...biasCorrections(t, beta1, beta2),
      // Σ / √N as a multiple of the mean. A scalar, so that tensors of every size share one expression.
      blockScale: normalization === 'mean' ? 1 : Math.sqrt(blockSize(shape, per)),
    }),
    step: ({ g, m, v, correction1, correction2, blockScale }) => {
      const mean = g.square().mean(per);
      const nextM = movingAverage(m, g, beta1);
      const nextV = movingAverage(v, normalization === 'mean' ? mean : mean.mul(blockScale), beta2);
      const direction = adaptiveDirection(nextM, correction1, nextV.sqrt().mul(correction2), epsilon);
      return { direction, m: nextM, v: nextV };
    },
  });
}

function blockSize(shape: Shape, per: 'tensor' | 'row' | 'column'): number {
  const [rows, columns] = matrixView(shape);
  return { tensor: rows * columns, row: columns, column: rows }[per];
}
