import { Identity, type TensorInfo } from '@tensorflow/tfjs-core';
import type { TensorHeap } from '../heap.js';
import { type Replacement, replacement } from '../replacement.js';

/** A tensor that shares the data of `x`, as tfjs's reshape makes them. */
export function alias(heap: TensorHeap, { dataId, shape, dtype }: TensorInfo): TensorInfo {
  heap.backend.incRef(dataId);
  return { dataId, shape, dtype };
}

/**
 * `clone`. tfjs's kernel copies the data, and every tensor saved for the backward pass is a clone; the other backends
 * share the data and count references.
 */
export const identity: Replacement = replacement<Record<'x', TensorInfo>, object>(Identity, ({ inputs, heap, tfjs }) =>
  inputs.x.dtype === 'string' ? tfjs() : alias(heap, inputs.x),
);
