import { ShapeMismatchError } from '@frugaljs/core/errors';
import {
  Cast,
  getKernel,
  type TensorInfo,
  UnsortedSegmentSum,
  type UnsortedSegmentSumAttrs,
  util,
} from '@tensorflow/tfjs-core';
import type { TensorHeap } from '../heap.js';
import { segmentProgram } from '../programs/segment.js';
import { type Replacement, replacement } from '../replacement.js';

/**
 * `unsortedSegmentSum`, the gradient of `gather` and so of every embedding, which tfjs's WASM backend lacks.
 *
 * `out[s] = Σ x[i]` over all `i` with `segmentIds[i] = s`; `segmentIds` has the leading dimensions of `x`, one in tfjs's
 * documentation, and `out` has shape `[numSegments, ...rest of x]`. Ids outside `[0, numSegments)` are dropped.
 * float32 gives float32; int32 and bool give int32, as in TensorFlow (tfjs's CPU backend gives float32).
 */
export const unsortedSegmentSum: Replacement = replacement<
  Record<'x' | 'segmentIds', TensorInfo>,
  UnsortedSegmentSumAttrs
>(UnsortedSegmentSum, ({ inputs, attrs, heap }) => {
  const { segmentIds } = inputs;
  const rank = segmentIds.shape.length;
  if (!util.arraysEqual(inputs.x.shape.slice(0, rank), segmentIds.shape)) {
    throw new ShapeMismatchError({
      parameter: 'unsortedSegmentSum segmentIds',
      found: `shape [${segmentIds.shape}]`,
      expected: `the leading dimensions of x, of shape [${inputs.x.shape}]`,
    });
  }
  const x = withoutBool(heap, inputs.x);
  try {
    return segmentSum(heap, x, segmentIds, attrs.numSegments);
  } finally {
    if (x !== inputs.x) heap.backend.disposeData(x.dataId);
  }
});

function segmentSum(heap: TensorHeap, x: TensorInfo, ids: TensorInfo, segments: number): TensorInfo {
  const rowShape = x.shape.slice(ids.shape.length);
  const out = heap.backend.makeOutput([segments, ...rowShape], x.dtype);
  const { segmentSumFloat32, segmentSumInt32 } = segmentProgram.on(heap.memory);
  const run = x.dtype === 'float32' ? segmentSumFloat32 : segmentSumInt32;
  const rowLength = util.sizeFromShape(rowShape);
  run(heap.offset(out), heap.offset(x), heap.offset(ids), util.sizeFromShape(ids.shape), rowLength, segments);
  return out;
}

function withoutBool(heap: TensorHeap, x: TensorInfo): TensorInfo {
  if (x.dtype !== 'bool') return x;
  const { kernelFunc } = getKernel(Cast, 'wasm');
  return kernelFunc({ inputs: { x }, attrs: { dtype: 'int32' }, backend: heap.backend }) as TensorInfo;
}
