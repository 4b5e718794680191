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
