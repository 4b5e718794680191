import { abs, max, type Tensor, type Tensor2D, tidy } from '@tensorflow/tfjs-core';

/** A matrix contains NaN or an infinity, so it has no singular vectors. Nothing was changed; keep the previous basis. */
export class NonFiniteMatrixError extends Error {
  override readonly name: string = 'NonFiniteMatrixError';
  constructor(parameter: string, shape: readonly number[]) {
    super(
      `${parameter} (${shape.join('x')}) contains NaN or Infinity, or numbers whose products overflow float32; expected finite numbers. ` +
        'Keep the previous basis and look for the cause: a loss scale, a division by zero or a learning rate too high.',
    );
  }
}

/** An argument has the wrong shape or range. */
export class LinalgArgumentError extends RangeError {
  override readonly name: string = 'LinalgArgumentError';
  constructor(parameter: string, found: string, expected: string) {
    super(`${parameter}: found ${found}; expected ${expected}.`);
  }
}

export function requireMatrix(parameter: string, x: Tensor): void {
  if (x.rank !== 2) throw new LinalgArgumentError(parameter, `shape [${x.shape.join(', ')}]`, 'a matrix (rank 2)');
  if (x.dtype !== 'float32') throw new LinalgArgumentError(parameter, `dtype ${x.dtype}`, 'float32');
}

export function requireCount(parameter: string, value: number): void {
  if (!Number.isInteger(value) || value < 0) {
    throw new LinalgArgumentError(parameter, String(value), 'a whole number of at least 0');
  }
}

/**
 * Reads one number back: the largest magnitude in x, which is returned.
 *
 * @throws NonFiniteMatrixError if x has NaN or Infinity.
 */
export function requireFinite(parameter: string, x: Tensor2D): number {
  const largest = tidy(() => max(abs(x)));
  const value = largest.dataSync()[0]!;
  largest.dispose();
  if (!Number.isFinite(value)) throw new NonFiniteMatrixError(parameter, x.shape);
  return value;
}
