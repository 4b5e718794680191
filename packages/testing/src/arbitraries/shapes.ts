import type { Shape } from '@frugaljs/core';
import fc, { type Arbitrary } from 'fast-check';

/** The parameters a part works on: matrices only, or tensors of at least so many axes. */
export type Parameters = 'any' | 'at least 1 axis' | 'at least 2 axes' | 'matrix';

export interface ShapeOptions {
  /** Default `matrix`. */
  readonly parameters?: Parameters;
  /** Largest dimension of a matrix. Default 9. */
  readonly largest?: number;
}

/**
 * Shapes of parameters. Matrices are tall, wide and square, among them 1 × n, n × 1 and 1 × 1; where the parameters may
 * be anything there are also scalars, vectors and tensors of 3 and 4 axes. Shrinks towards 1 × 1.
 */
export function shapes({ parameters = 'matrix', largest = 9 }: ShapeOptions = {}): Arbitrary<Shape> {
  const dimension = fc.integer({ min: 1, max: largest });
  const matrix: Arbitrary<Shape> = fc.oneof(
    { withCrossShrink: true },
    { arbitrary: fc.tuple(dimension, dimension), weight: 6 },
    { arbitrary: dimension.map((n): Shape => [n, n]), weight: 2 },
    { arbitrary: dimension.map((n): Shape => [1, n]), weight: 1 },
    { arbitrary: dimension.map((m): Shape => [m, 1]), weight: 1 },
  );
  const tensor: Arbitrary<Shape> = fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 3, maxLength: 4 });
  const vector: Arbitrary<Shape> = fc.tuple(fc.integer({ min: 1, max: 2 * largest }));
  const scalar: Arbitrary<Shape> = fc.constant<Shape>([]);
  switch (parameters) {
    case 'matrix':
      return matrix;
    case 'at least 2 axes':
      return fc.oneof({ withCrossShrink: true }, { arbitrary: matrix, weight: 4 }, tensor);
    case 'at least 1 axis':
      return fc.oneof({ withCrossShrink: true }, { arbitrary: matrix, weight: 4 }, vector, tensor);
    case 'any':
      return fc.oneof({ withCrossShrink: true }, { arbitrary: matrix, weight: 4 }, vector, tensor, scalar);
  }
}

/** Shapes at the edge: single rows, columns and entries. */
export function degenerateShapes(parameters: Parameters): readonly Shape[] {
  const matrices: Shape[] = [
    [1, 1],
    [1, 7],
    [7, 1],
    [2, 2],
  ];
  if (parameters === 'matrix') return matrices;
  const tensors: Shape[] = [...matrices, [1, 1, 1], [2, 1, 3]];
  if (parameters === 'at least 2 axes') return tensors;
  const vectors: Shape[] = [...tensors, [1], [5]];
  return parameters === 'any' ? [...vectors, []] : vectors;
}
