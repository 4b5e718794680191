import { type Shape, sizeOf } from '@frugaljs/core';

/** More than this many candidates are not tried. */
const MOST = 300;

/**
 * The example with every smaller shape of as many axes in place of its own, fewest elements first. Empty for an example
 * without a `shape`.
 */
export function* smallerShapes(example: unknown): Generator<unknown> {
  if (typeof example !== 'object' || example === null || !('shape' in example)) return;
  const { shape } = example as { shape: Shape };
  if (!Array.isArray(shape)) return;
  const size = sizeOf(shape);
  const candidates = product(shape).filter(candidate => sizeOf(candidate) < size);
  candidates.sort((a, b) => sizeOf(a) - sizeOf(b) || Math.max(...a) - Math.max(...b));
  for (const candidate of candidates.slice(0, MOST)) yield { ...example, shape: candidate };
}

/** All shapes that are nowhere larger. */
function product(shape: Shape): number[][] {
  return shape.reduce<number[][]>(
    (heads, dimension) =>
      heads.flatMap(head => Array.from({ length: dimension }, (_, i) => [...head, i + 1])).slice(0, 20 * MOST),
    [[]],
  );
}
