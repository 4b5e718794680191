import { InvalidOptionError } from '@frugaljs/core/errors';

/**
 * Checks that all indices are in `[0, size)`, so that nothing is read or written outside a tensor.
 * @param parameter What the indices are called in the error.
 */
export function checkRowIndices(indices: Int32Array, size: number, parameter: string): void {
  for (let i = 0; i < indices.length; i++) {
    const index = indices[i]!;
    if (index < 0 || index >= size) {
      throw new InvalidOptionError({
        parameter: `${parameter}[${i}]`,
        found: index,
        expected: `an index in [0, ${size})`,
      });
    }
  }
}
