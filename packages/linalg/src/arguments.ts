import type { Tensor } from '@tensorflow/tfjs-core';
import { LinalgArgumentError } from './errors.js';

export function requireMatrix(parameter: string, x: Tensor): void {
  if (x.rank !== 2) throw new LinalgArgumentError(parameter, `shape [${x.shape.join(', ')}]`, 'a matrix (rank 2)');
  if (x.dtype !== 'float32') throw new LinalgArgumentError(parameter, `dtype ${x.dtype}`, 'float32');
}

export function requireCount(parameter: string, value: number): void {
  if (!Number.isInteger(value) || value < 0) {
    throw new LinalgArgumentError(parameter, String(value), 'a whole number of at least 0');
  }
}
