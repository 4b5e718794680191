import { backend_util, Concat, type ConcatAttrs, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { type Replacement, replacement } from '../replacement.js';
import { denseStrides, stridedCopy } from './strided-copy.js';

/** `concat`. tfjs's kernel makes two typed-array views per row and input. */
export const concat: Replacement = replacement<Record<string, TensorInfo>, ConcatAttrs>(
  Concat,
  ({ inputs, attrs, heap, tfjs }) => {
    // tfjs numbers the inputs: an array, or an object with the keys 0, 1, …
    const parts = Object.values(inputs);
    const first = parts[0]!;
    if (parts.some(({ dtype }) => dtype === 'string' || dtype !== first.dtype)) return tfjs();
    const axis = util.parseAxisParam(attrs.axis, first.shape)[0]!;
    const shapes = parts.map(({ shape }) => shape);
    backend_util.assertParamsConsistent(shapes, axis);
    const shape = backend_util.computeOutShape(shapes, axis);
    const out = heap.backend.makeOutput(shape, first.dtype);
    const bytes = util.bytesPerElement(first.dtype);
    const strides = denseStrides(shape, bytes);
    let offset = heap.offset(out);
    for (const part of parts) {
      const from = { offset: heap.offset(part), strides: denseStrides(part.shape, bytes) };
      stridedCopy(heap, { offset, strides }, from, part.shape, bytes);
      offset += part.shape[axis]! * strides[axis]!;
    }
    return out;
  },
);
