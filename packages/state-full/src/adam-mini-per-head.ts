import { matrixView, type Shape, type TensorRule, tensorRule, UnsupportedShapeError } from '@frugaljs/core';
import { add, broadcastTo, div, divNoNan, mean, mul, reshape, sqrt, square, type Tensor } from '@tensorflow/tfjs-core';
import type { FilledAdamMiniOptions } from './adam-mini-options.js';
import { type BiasCorrections, biasCorrections } from './bias-correction.js';

/**
 * Adam-mini with one second moment per attention head. Means over groups of rows need a reshape, which the
 * expression language does not have, hence a tensor rule.
 */
export function adamMiniPerHead(options: FilledAdamMiniOptions, heads: number): TensorRule<'m' | 'v'> {
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
      const nextM = add(mul(m, beta1), mul(g, 1 - beta1));
      const nextV = add(mul(v, beta2), mul(headMeans(square(g), shape, axis, heads), 1 - beta2));
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
