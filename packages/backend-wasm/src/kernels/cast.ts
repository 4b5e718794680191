import { Cast, type CastAttrs, type TensorInfo, util } from '@tensorflow/tfjs-core';
import type { TensorHeap } from '../heap.js';
import { type Replacement, replacement } from '../replacement.js';
import { alias } from './identity.js';

/**
 * `cast`. tfjs's kernel copies even if the type stays, as in every gradient of a product, and stores the low byte of
 * the number when casting to bool.
 */
export const cast: Replacement = replacement<Record<'x', TensorInfo>, CastAttrs>(
  Cast,
  ({ inputs: { x }, attrs, heap, tfjs }) => {
    if (x.dtype === attrs.dtype && x.dtype !== 'string') return alias(heap, x);
    const numeric = x.dtype === 'float32' || x.dtype === 'int32';
    return numeric && attrs.dtype === 'bool' ? toBool(heap, x) : tfjs();
  },
);

function toBool(heap: TensorHeap, x: TensorInfo): TensorInfo {
  const size = util.sizeFromShape(x.shape);
  const out = heap.backend.makeOutput(x.shape, 'bool');
  const { buffer } = heap.memory;
  const View = x.dtype === 'float32' ? Float32Array : Int32Array;
  const from = new View(buffer, heap.offset(x), size);
  const to = new Uint8Array(buffer, heap.offset(out), size);
  for (let i = 0; i < size; i++) to[i] = from[i] === 0 ? 0 : 1;
  return out;
}
