import { type Shape, sizeOf } from '@frugaljs/core';

/** Shapes tried at most. */
const MOST = 60;

/** Every shape of as many axes with fewer elements, fewest first; empty for an example without a `shape`. */
export function smallerShapes(example: unknown): readonly Shape[] {
  if (typeof example !== 'object' || example === null || !('shape' in example)) return [];
  const { shape } = example as { shape: Shape };
  if (!Array.isArray(shape)) return [];
  const candidates = shapesBelow(shape.length, sizeOf(shape));
  candidates.sort((a, b) => sizeOf(a) - sizeOf(b) || Math.max(0, ...a) - Math.max(0, ...b));
  return candidates.slice(0, MOST);
}

/** All shapes of so many axes with fewer than `size` elements. */
function shapesBelow(axes: number, size: number): Shape[] {
  if (axes === 0) return size > 1 ? [[]] : [];
  const found: Shape[] = [];
  for (let first = 1; first < size; first++) {
    // The other axes hold fewer than size / first elements.
    for (const rest of shapesBelow(axes - 1, Math.ceil(size / first))) found.push([first, ...rest]);
  }
  return found;
}
