import { type Basis, type BasisSpec, type FitContext, randomKey, randomSubset } from '@frugaljs/core';
import { expandDims, scatterND, type Tensor, tensor1d, tidy } from '@tensorflow/tfjs-core';

// What projectors onto coordinates have in common: how many, which, and back to where they were taken from.

/** Number of coordinates that a density keeps: truncated, as the reference implementation of FRUGAL does. */
export function keptOf(count: number, density: number): number {
  return Math.trunc(count * density);
}

/** The basis of a coordinate projector: `kept` int32 indices. */
export function indexSpec(kept: number): Readonly<Record<'indices', BasisSpec>> {
  return { indices: { shape: [kept], dtype: 'int32' } };
}

/** How a subset is drawn: `randomSubset` or `randomSubsetByMask` of @frugaljs/core. */
export type SubsetDraw = typeof randomSubset;

/**
 * Draws `kept` of `count` coordinates without replacement, ascending: a pure function of seed, parameter, place in the
 * composition and refresh. Coordinates of an enclosing projector of the same kind come last.
 */
export function drawIndices(
  kind: string,
  count: number,
  kept: number,
  { site, refreshIndex, occupied }: FitContext,
  draw: SubsetDraw = randomSubset,
): Basis<'indices'> {
  const key = randomKey(site.seed, site.name, site.path, refreshIndex, kind);
  return { indices: tensor1d(draw(key, count, kept, occupied), 'int32') };
}

/**
 * Zeros of the given shape with `x` at `indices` along the first axis. The output of `scatterND` starts as exact zeros; the
 * kernels of `@frugaljs/backend-wasm` make it fast on wasm.
 */
export function scatterSlices(x: Tensor, indices: Tensor, shape: readonly number[]): Tensor {
  return tidy(() => scatterND(expandDims(indices, 1), x, [...shape]));
}
