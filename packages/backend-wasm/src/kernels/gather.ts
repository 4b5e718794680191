import { backend_util, GatherV2, type GatherV2Attrs, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { copyProgram } from '../programs/copy.js';
import { type Replacement, replacement } from '../replacement.js';
import { checkRowIndices } from './row-indices.js';

/**
 * `gather`. tfjs's kernel works element by element and, with `batchDims` of two or more, reads its indices from the
 * wrong place, beyond their end.
 */
export const gather: Replacement = replacement<Record<'x' | 'indices', TensorInfo>, GatherV2Attrs>(
  GatherV2,
  ({ inputs, attrs, heap, tfjs }) => {
    const { x, indices } = inputs;
    if (x.dtype === 'string') return tfjs();
    const axis = util.parseAxisParam(attrs.axis, x.shape)[0]!;
    const count = util.sizeFromShape(indices.shape);
    checkRowIndices(heap.int32(indices, count), x.shape[axis]!, 'gather indices');
    const { batchSize, outerSize, sliceSize, dimSize, outputShape } =
      backend_util.segment_util.collectGatherOpShapeInfo(x as never, indices as never, axis, attrs.batchDims ?? 0);
    const out = heap.backend.makeOutput(outputShape, x.dtype);
    if (util.sizeFromShape(outputShape) === 0) return out;

    const { gatherRows } = copyProgram.on(heap.memory);
    const rowBytes = sliceSize * util.bytesPerElement(x.dtype);
    const indicesPerBatch = count / batchSize;
    const from = heap.offset(x);
    const to = heap.offset(out);
    for (let batch = 0; batch < batchSize; batch++) {
      const batchIndices = heap.offset(indices) + 4 * batch * indicesPerBatch;
      for (let outer = 0; outer < outerSize; outer++) {
        const block = batch * outerSize + outer;
        const target = to + block * indicesPerBatch * rowBytes;
        gatherRows(target, from + block * dimSize * rowBytes, batchIndices, indicesPerBatch, rowBytes);
      }
    }
    return out;
  },
);
