import {
  type ExpressionRule,
  expressionRule,
  InvalidOptionError,
  matrixView,
  requireInteger,
  requireKnownKeys,
  requireNumber,
  requireOneOf,
  type Shape,
  type TensorRule,
  tensorRule,
  UnsupportedShapeError,
  type Value,
} from '@frugaljs/core';
import { add, broadcastTo, div, divNoNan, mean, mul, reshape, sqrt, square, type Tensor } from '@tensorflow/tfjs-core';
import { adaptiveDirection, type BiasCorrections, biasCorrections, movingAverage } from './moments.js';

/** What shares one second moment. */
export type AdamMiniBlock = 'element' | 'row' | 'column' | 'tensor';

export interface AdamMiniOptions {
  /** Decay of the first moment, in [0, 1). Default 0.9. */
  readonly beta1?: number;
  /** Decay of the second moment, in [0, 1). Default 0.999. */
  readonly beta2?: number;
  /** Added to the denominator, at least 0. Default 1e-8. */
  readonly epsilon?: number;
  /**
   * What shares one second moment. Default `row`: one per output of a matrix (out, in), and one for a whole vector.
   * For the (in, out) kernels of tf.layers use `column`.
   */
  readonly block?: AdamMiniBlock;
  /**
   * For queries and keys: the rows (with `block: 'column'` the columns) form this many contiguous groups of equal size,
   * each with one second moment. `null` for no grouping. Default null.
   */
  readonly heads?: number | null;
}

/**
 * Adam-mini: Adam with one second moment per block of entries that behave alike.
 *
 *     m ← β₁ m + (1 - β₁) g,   v ← β₂ v + (1 - β₂) mean over the block of g²,
 *     d = m / (1 - β₁ᵗ) / (√v / √(1 - β₂ᵗ) + ε)
 *
 * The paper's blocks, for matrices (out, in): embeddings, values, attention outputs, MLP and head: `row`; queries and
 * keys: `heads`; norms: `tensor`; biases: `element`, which is AdamW.
 *
 * Any shape; tensors of rank above 2 have the last axis as columns, vectors are one row. State: `m` per element and `v`
 * per block, 4 bytes each. With `heads` v is stored once per row (column), so that 4 rows bytes hold what 4 heads bytes
 * could, and the rule is a tensor rule, which runs as tfjs operations and is not fused.
 *
 * @throws InvalidOptionError for an unknown option, a value outside its interval or `heads` with a block other than row
 *   or column; UnsupportedShapeError from `state(shape)` when the rows (columns) do not divide into the heads.
 * @see Zhang et al., Adam-mini: Use Fewer Learning Rates To Gain More, arXiv 2406.16793.
 */
export function adamMini(options: AdamMiniOptions = {}): ExpressionRule<'m' | 'v'> | TensorRule<'m' | 'v'> {
  const filled = fillIn(options);
  return filled.heads === null ? perBlock(filled) : perHead(filled, filled.heads);
}

function perBlock(options: FilledOptions): ExpressionRule<'m' | 'v'> {
  const { beta1, beta2, epsilon, block } = options;
  const meanSquare = (g: Value): Value => (block === 'element' ? g.square() : g.square().mean(block));
  return expressionRule({
    kind: 'adamMini',
    options,
    state: () => ({ m: { extent: 'element' }, v: { extent: block, degree: 2 } }),
    scalars: t => biasCorrections(t, beta1, beta2),
    step: ({ g, m, v, correction1, correction2 }) => {
      const nextM = movingAverage(m, g, beta1);
      const nextV = movingAverage(v, meanSquare(g), beta2);
      const direction = adaptiveDirection(nextM, correction1, nextV.sqrt().mul(correction2), epsilon);
      return { direction, m: nextM, v: nextV };
    },
  });
}

/**
 * Adam-mini with one second moment per attention head. Means over groups of rows need a reshape, which the
 * expression language does not have, hence a tensor rule.
 */
function perHead(options: FilledOptions, heads: number): TensorRule<'m' | 'v'> {
  const { beta1, beta2, epsilon, block } = options;
  const axis = block as 'row' | 'column';
  return tensorRule({
    kind: 'adamMini',
    options,
    state: shape => {
      const count = matrixView(shape)[axis === 'row' ? 0 : 1];
      if (count % heads !== 0) {
        throw new UnsupportedShapeError({
          parameter: 'adamMini.heads',
          found: shape,
          expected: `a number of ${axis}s that is a multiple of ${heads}`,
          advice: 'Give this parameter a group of its own, with the right number of heads or none.',
        });
      }
      return { m: { extent: 'element' }, v: { extent: axis, degree: 2 } };
    },
    scalars: t => ({ ...biasCorrections(t, beta1, beta2) }),
    step: ({ g, m, v }, scalars, shape) => {
      const { correction1, correction2 } = scalars as unknown as BiasCorrections;
      const average = (previous: Tensor, next: Tensor, beta: number): Tensor =>
        beta === 0 ? next.clone() : add(mul(previous, beta), mul(next, 1 - beta));
      const nextM = average(m, g, beta1);
      const nextV = average(v, headMeans(square(g), shape, axis, heads), beta2);
      const root = mul(sqrt(nextV), correction2);
      const step = epsilon === 0 ? divNoNan(correction1, root) : div(correction1, add(root, epsilon));
      return { direction: reshape(mul(reshape(nextM, [...matrixView(shape)]), step), [...shape]), m: nextM, v: nextV };
    },
  });
}

/** The mean of each head, once for every row `[rows, 1]` or column `[1, columns]` that belongs to it. */
function headMeans(x: Tensor, shape: Shape, axis: 'row' | 'column', heads: number): Tensor {
  const [rows, columns] = matrixView(shape);
  if (axis === 'row') {
    const means = mean(reshape(x, [heads, (rows / heads) * columns]), 1, true);
    return reshape(broadcastTo(means, [heads, rows / heads]), [rows, 1]);
  }
  const means = mean(reshape(x, [rows, heads, columns / heads]), [0, 2]);
  return reshape(broadcastTo(reshape(means, [heads, 1]), [heads, columns / heads]), [1, columns]);
}

type FilledOptions = Required<AdamMiniOptions>;

function fillIn(options: AdamMiniOptions): FilledOptions {
  requireKnownKeys('adamMini', options, ['beta1', 'beta2', 'epsilon', 'block', 'heads']);
  const { beta1 = 0.9, beta2 = 0.999, epsilon = 1e-8, block = 'row', heads = null } = options;
  requireNumber('adamMini.beta1', beta1, '[0, 1)');
  requireNumber('adamMini.beta2', beta2, '[0, 1)');
  requireNumber('adamMini.epsilon', epsilon, '[0, Infinity)');
  requireOneOf('adamMini.block', block, ['element', 'row', 'column', 'tensor']);
  if (heads !== null) {
    requireInteger('adamMini.heads', heads, 1);
    if (block !== 'row' && block !== 'column') {
      throw new InvalidOptionError({
        parameter: 'adamMini.heads',
        found: `${heads} with block ${block}`,
        expected: "block 'row' or 'column', which the heads group",
      });
    }
  }
  return { beta1, beta2, epsilon, block, heads };
}
