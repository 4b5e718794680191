import { InvalidOptionError, ShapeMismatchError } from '@frugaljs/core/errors';
import { i32, integers, ModuleBuilder, memory, repeatWhile, sequence, when } from '@frugaljs/wasm-assembly';
import {
  backend_util,
  Cast,
  GatherV2,
  type GatherV2Attrs,
  getKernel,
  ScatterNd,
  type ScatterNdAttrs,
  scatter_util,
  type TensorInfo,
  UnsortedSegmentSum,
  type UnsortedSegmentSumAttrs,
  util,
} from '@tensorflow/tfjs-core';
import type { TensorHeap } from '../heap.js';
import { Program } from '../program.js';
import { type Replacement, replacement } from './replacement.js';
import { copyProgram, defineAddRow } from './rows.js';

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

/**
 * Checks that all indices are in `[0, size)`, so that nothing is read or written outside a tensor.
 * @param parameter What the indices are called in the error.
 */
function checkRowIndices(indices: Int32Array, size: number, parameter: string): void {
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i]!;
    if (index < 0 || index >= size) {
      throw new InvalidOptionError({
        parameter: `${parameter}[${i}]`,
        found: index,
        expected: `an index in [0, ${size})`,
      });
    }
  }
}

/**
 * Sums rows by segment: `segmentSumFloat32(to, from, ids, rows, rowLength, segments)` and its `Int32` sibling.
 * `to`, of `segments` rows of `rowLength` 4-byte elements, becomes zero; then row `i` of `from` is added to row
 * `ids[i]`. Ids outside `[0, segments)` are dropped.
 */
export const segmentProgram: Program<'segmentSumFloat32' | 'segmentSumInt32'> = new Program('segment', () => {
  const module = new ModuleBuilder();
  defineSegmentSum(module, 'segmentSumFloat32', 'float32');
  defineSegmentSum(module, 'segmentSumInt32', 'int32');
  return module;
});

function defineSegmentSum(module: ModuleBuilder, name: string, type: 'float32' | 'int32'): void {
  const addRow = defineAddRow(module, `${name}AddRow`, type);
  module.define(
    name,
    integers('to', 'from', 'ids', 'rows', 'rowLength', 'segments'),
    ({ to, from, ids, rows, rowLength, segments }, scope) => {
      const rowBytes = scope.local('i32');
      const id = scope.local('i32');
      return sequence(
        rowBytes.set(i32.shl(rowLength, 2)),
        memory.fill(to, 0, i32.mul(rowBytes, segments)),
        repeatWhile(
          rows,
          id.set(i32.load(ids)),
          // Unsigned, so that negative ids are out of range too.
          when(i32.ltU(id, segments), addRow(i32.add(to, i32.mul(id, rowBytes)), from, rowLength)),
          from.advance(rowBytes),
          ids.advance(4),
          rows.advance(-1),
        ),
      );
    },
  );
}
