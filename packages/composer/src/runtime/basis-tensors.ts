import { type Basis, sameShape } from '@frugaljs/core';
import { keep, type Tensor } from '@tensorflow/tfjs-core';
import { gated } from './gate.js';

/** Saves the tensors of a basis from the end of a `tidy`. */
export function keepBasis(basis: Basis): Basis {
  for (const tensor of Object.values(basis)) keep(tensor);
  return basis;
}

export function disposeBasis(basis: Basis): void {
  for (const tensor of Object.values(basis)) tensor.dispose();
}

/** The coordinates of a basis that is given by them, ascending; null for one of vectors. */
export function coordinatesOf({ indices }: Basis): Int32Array | null {
  return indices?.dtype === 'int32' ? (indices.dataSync() as Int32Array) : null;
}

/** The fitted basis where the update happens, else the one before. */
export function gatedBasis(proceed: Tensor, fitted: Basis, before: Basis): Basis {
  const isAlike = Object.entries(fitted).every(([name, { shape, dtype }]) => {
    return dtype === 'float32' && before[name] !== undefined && sameShape(before[name].shape, shape);
  });
  if (!isAlike) return { ...fitted };
  return Object.fromEntries(Object.entries(fitted).map(([name, next]) => [name, gated(proceed, next, before[name]!)]));
}
