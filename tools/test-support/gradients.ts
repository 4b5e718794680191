import { randomKey, randomNormals, randomUniform, type Shape, sizeOf } from '@frugaljs/core';

/**
 * A reproducible stream of float32 gradients whose entries differ by four orders of magnitude, as those of a model do.
 * About one entry in ten is exactly 0.
 */
export function gradientStream(seed: number, shape: Shape, steps: number): Float32Array[] {
  const size = sizeOf(shape);
  const scales = randomKey(seed, 'scale');
  return Array.from({ length: steps }, (_, t) => {
    const zeros = randomKey(seed, 'zero', t);
    return randomNormals(randomKey(seed, 'gradient', t), size).map((x, i) =>
      randomUniform(zeros, i) < 0.1 ? 0 : x * 10 ** (4 * randomUniform(scales, i) - 3),
    );
  });
}

/** Shapes on which every element-wise or row- and column-wise rule must work. */
export const SHAPES: readonly Shape[] = [[], [1], [7], [1, 6], [6, 1], [3, 5], [2, 3, 4]];
