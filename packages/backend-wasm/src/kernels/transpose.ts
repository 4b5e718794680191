import { type TensorInfo, Transpose, type TransposeAttrs, util } from '@tensorflow/tfjs-core';
import { type Replacement, replacement } from '../replacement.js';
import { denseStrides, stridedCopy } from './strided-copy.js';

/** `transpose`. tfjs's kernel moves one element at a time; this one moves rows, or blocks of four by four. */
export const transpose: Replacement = replacement<Record<'x', TensorInfo>, TransposeAttrs>(
  Transpose,
  ({ inputs: { x }, attrs: { perm }, heap, tfjs }) => {
    if (x.dtype === 'string') return tfjs();
    const shape = perm.map(axis => x.shape[axis]!);
    const out = heap.backend.makeOutput(shape, x.dtype);
    const bytes = util.bytesPerElement(x.dtype);
    const sourceStrides = denseStrides(x.shape, bytes);
    const to = { offset: heap.offset(out), strides: denseStrides(shape, bytes) };
    const from = { offset: heap.offset(x), strides: perm.map(axis => sourceStrides[axis]!) };
    stridedCopy(heap, to, from, shape, bytes);
    return out;
  },
);
