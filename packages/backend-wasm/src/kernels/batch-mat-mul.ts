import { BatchMatMul, type BatchMatMulAttrs, type TensorInfo } from '@tensorflow/tfjs-core';
import { type Replacement, replacement } from '../replacement.js';
import { batchProduct } from './batch-product.js';

/**
 * `matMul`. tfjs's kernel reaches XNNPACK only for one plain matrix product; for transposed operands, which the backward
 * pass is made of, and for batches, as in attention, it runs scalar loops.
 */
export const batchMatMul: Replacement = replacement<Record<'a' | 'b', TensorInfo>, BatchMatMulAttrs>(
  BatchMatMul,
  ({ inputs, attrs, heap }) => batchProduct(heap, { ...inputs, ...attrs }),
);
