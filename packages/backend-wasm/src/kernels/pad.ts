import { PadV2, type PadV2Attrs, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { type Replacement, replacement } from '../replacement.js';
import { denseStrides, stridedCopy } from './strided-copy.js';

/** `pad`, the gradient of `slice`. tfjs's kernel works out a coordinate per element. */
export const pad: Replacement = replacement<Record<'x', TensorInfo>, PadV2Attrs>(
  PadV2,
  ({ inputs: { x }, attrs, heap, tfjs }) => {
    if (x.dtype === 'string') return tfjs();
    const { paddings, constantValue } = attrs;
    const shape = x.shape.map((size, axis) => paddings[axis]![0] + size + paddings[axis]![1]);
    const out = heap.backend.makeOutput(shape, x.dtype);
    const bytes = util.bytesPerElement(x.dtype);
    const strides = denseStrides(shape, bytes);
    heap.backend.typedArrayFromHeap(out).fill(constantValue);
    const offset = strides.reduce((sum, stride, axis) => sum + paddings[axis]![0] * stride, heap.offset(out));
    const from = { offset: heap.offset(x), strides: denseStrides(x.shape, bytes) };
    stridedCopy(heap, { offset, strides }, from, x.shape, bytes);
    return out;
  },
);
