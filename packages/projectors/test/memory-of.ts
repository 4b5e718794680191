import type { Basis } from '@frugaljs/core';
import { memory } from '@tensorflow/tfjs-core';
import { disposeBasis } from './tensors.js';

/** Tensors and bytes that a basis takes, all intermediate tensors gone. */
export function memoryOf(build: () => Basis): { tensors: number; bytes: number } {
  const before = memory();
  const basis = build();
  const after = memory();
  disposeBasis(basis);
  return { tensors: after.numTensors - before.numTensors, bytes: after.numBytes - before.numBytes };
}
