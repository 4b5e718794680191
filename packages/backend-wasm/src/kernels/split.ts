import { backend_util, SplitV, type SplitVAttrs, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { type Replacement, replacement } from '../replacement.js';
import { sliceOf } from './slice.js';

/** `split`, the gradient of `concat`. tfjs's kernel copies the whole input once per part. */
export const split: Replacement = replacement<Record<'x', TensorInfo>, SplitVAttrs>(
  SplitV,
  ({ inputs: { x }, attrs, heap }) => {
    const axis = util.parseAxisParam(attrs.axis, x.shape)[0]!;
    const begin = new Array<number>(x.shape.length).fill(0);
    return backend_util.prepareSplitSize(x as never, attrs.numOrSizeSplits, axis).map(length => {
      const size = x.shape.map((full, i) => (i === axis ? length : full));
      const part = sliceOf(heap, x, begin, size);
      begin[axis] = begin[axis]! + length;
      return part;
    });
  },
);
