import { gather, reshape, scatterND, type Tensor1D, type Tensor2D } from '@tensorflow/tfjs-core';
import { differentiable } from './differentiable.js';

/**
 * Rows of a table: `y_i = table[ids_i]`.
 *
 * The gradient adds the rows of `dy` up by id with one scatter. (The gradient that tfjs registers for `gather` walks
 * the whole table once per row on the cpu backend and does not exist on wasm.)
 *
 * @param table `[vocabulary, width]`
 * @param ids `[rows]`, int32
 */
export function embed(table: Tensor2D, ids: Tensor1D): Tensor2D {
  return differentiable<Tensor2D>([table], save => {
    save([ids]);
    return {
      value: gather(table, ids),
      gradient: (dy, [saved]) => [scatterND(reshape(saved!, [-1, 1]), dy, table.shape)],
    };
  });
}
