import { Slice, type SliceAttrs, slice_util, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { TensorHeap } from '../heap.js';
import { type Replacement, replacement } from '../replacement.js';
import { denseStrides, stridedCopy } from './strided-copy.js';

/** `slice`. tfjs's kernel copies the whole input before it picks the slice. */
export const slice: Replacement = replacement<Record<'x', TensorInfo>, SliceAttrs>(
  Slice,
  ({ inputs: { x }, attrs, heap, tfjs }) => {
    if (x.dtype === 'string') return tfjs();
    const [begin, size] = slice_util.parseSliceParams(x as never, attrs.begin, attrs.size) as [number[], number[]];
    return sliceOf(heap, x, begin, size);
  },
);

/** The block of `size` that starts at `begin`. */
export function sliceOf(
  heap: TensorHeap,
  x: TensorInfo,
  begin: readonly number[],
  size: readonly number[],
): TensorInfo {
  const out = heap.backend.makeOutput([...size], x.dtype);
  const bytes = util.bytesPerElement(x.dtype);
  const strides = denseStrides(x.shape, bytes);
  const offset = begin.reduce((sum, start, axis) => sum + start * strides[axis]!, heap.offset(x));
  const to = { offset: heap.offset(out), strides: denseStrides(size, bytes) };
  stridedCopy(heap, to, { offset, strides }, size, bytes);
  return out;
}
