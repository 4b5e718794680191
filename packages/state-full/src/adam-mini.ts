import { type ExpressionRule, expressionRule, type TensorRule, type Value } from '@frugaljs/core';
import { type AdamMiniOptions, completeAdamMiniOptions, type FilledAdamMiniOptions } from './adam-mini-options.js';
import { adamMiniPerHead } from './adam-mini-per-head.js';
import { adaptiveDirection } from './adaptive-direction.js';
import { biasCorrections } from './bias-correction.js';
import { movingAverage } from './moving-average.js';

export type { AdamMiniBlock, AdamMiniOptions } from './adam-mini-options.js';

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
  const filled = completeAdamMiniOptions(options);
  return filled.heads === null ? adamMiniPerBlock(filled) : adamMiniPerHead(filled, filled.heads);
}

function adamMiniPerBlock(options: FilledAdamMiniOptions): ExpressionRule<'m' | 'v'> {
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
