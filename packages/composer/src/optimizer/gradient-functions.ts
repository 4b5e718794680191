import { MissingGradientError } from '@frugaljs/core';

const NOT_FOUND = /gradient function not found for (\w+)/;

/**
 * Runs what computes gradients. tfjs registers no gradient by itself: where that was forgotten, its error names an
 * operation, and this one what to import.
 *
 * @throws MissingGradientError if tfjs has no gradient of an operation, and whatever `compute` throws.
 */
export function explainingGradients<Result>(compute: () => Result): Result {
  try {
    return compute();
  } catch (error) {
    const operation = NOT_FOUND.exec(String(error))?.[1];
    if (operation === undefined) throw error;
    throw new MissingGradientError(
      {
        parameter: `gradient of the operation ${operation}`,
        found: 'none that is registered with tfjs',
        expected: 'a gradient function',
        advice: "import '@tensorflow/tfjs-layers', which registers those of tfjs; the operation may also have none.",
      },
      error,
    );
  }
}
