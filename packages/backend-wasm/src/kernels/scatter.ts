import { ScatterNd, type ScatterNdAttrs, scatter_util, type TensorInfo } from '@tensorflow/tfjs-core';
import { segmentProgram } from '../programs/segment.js';
import { type Replacement, replacement } from '../replacement.js';
import { checkRowIndices } from './row-indices.js';

/**
 * `scatterND` of whole rows, `out[indices[i]] += updates[i]`: another way to write the gradient of an embedding. tfjs's
 * kernel adds element by element and, for an index out of range, writes outside the tensor. Other uses go to tfjs.
 */
export const scatter: Replacement = replacement<Record<'indices' | 'updates', TensorInfo>, ScatterNdAttrs>(
  ScatterNd,
  ({ inputs: { indices, updates }, attrs, heap, tfjs }) => {
    const shape = attrs.shape as number[];
    const { sliceRank, numUpdates, sliceSize } = scatter_util.calculateShapes(updates, indices, shape);
    if (sliceRank !== 1 || (updates.dtype !== 'float32' && updates.dtype !== 'int32')) return tfjs();
    const rows = shape[0]!;
    checkRowIndices(heap.int32(indices, numUpdates), rows, 'scatterND indices');
    const out = heap.backend.makeOutput([...shape], updates.dtype);
    const { segmentSumFloat32, segmentSumInt32 } = segmentProgram.on(heap.memory);
    const run = updates.dtype === 'float32' ? segmentSumFloat32 : segmentSumInt32;
    run(heap.offset(out), heap.offset(updates), heap.offset(indices), numUpdates, sliceSize, rows);
    return out;
  },
);
