/** The dimensions of a tensor. */
export type Shape = readonly number[];

/** Number of elements; 1 for a scalar. */
export function sizeOf(shape: Shape): number {
  return shape.reduce((product, dimension) => product * dimension, 1);
}

/**
 * A tensor seen as a matrix `[rows, columns]`: the last axis is the columns and all axes before it are the rows. A
 * vector is one row and a scalar is 1 × 1.
 */
export function matrixView(shape: Shape): readonly [rows: number, columns: number] {
  const columns = shape.length === 0 ? 1 : shape[shape.length - 1]!;
  return [sizeOf(shape.slice(0, -1)), columns];
}

/** True when both shapes have the same dimensions in the same order. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dimension, axis) => dimension === b[axis]);
}
