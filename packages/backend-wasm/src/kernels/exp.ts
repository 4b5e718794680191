import { Exp, type TensorInfo, util } from '@tensorflow/tfjs-core';
import { exponentialProgram } from '../programs/exponential.js';
import { type Replacement, replacement } from '../replacement.js';

/** `exp` of float32, four at a time; of other types it is tfjs's. */
export const exp: Replacement = replacement<Record<'x', TensorInfo>, object>(Exp, ({ inputs: { x }, heap, tfjs }) => {
  if (x.dtype !== 'float32') return tfjs();
  const out = heap.backend.makeOutput(x.shape, 'float32');
  exponentialProgram.on(heap.memory).exp(heap.offset(out), heap.offset(x), util.sizeFromShape(x.shape));
  return out;
});
