import { roundHalfToEven, type Shape, UnsupportedShapeError } from '@frugaljs/core';
import type { TrajectoryParameter } from '../trajectory-file.js';

/** Where the official projectors multiply. */
export type OfficialSide = 'std' | 'reverse_std' | 'right' | 'left' | 'full';

/** A side once the shape of the parameter is known. */
export type ResolvedSide = 'right' | 'left' | 'full';

/** The factors that a dense projector of a parameter has. */
export interface DenseFactors {
  readonly side: ResolvedSide;
  readonly rank: number;
  /** Shapes of the recorded matrices: r × n on the right, m × r on the left. */
  readonly shapes: readonly Shape[];
  /** Some side keeps all of its dimension, so that its factor is a rotation. */
  readonly rotates: boolean;
}

/** The two dimensions of a parameter that the official projectors take. */
export function requireMatrix({ name, shape }: TrajectoryParameter): readonly [number, number] {
  if (shape.length === 2) return [shape[0]!, shape[1]!];
  throw new UnsupportedShapeError({
    parameter: `projectable parameter "${name}"`,
    found: `shape [${shape}]`,
    expected: 'a matrix, which is what this official projector takes',
  });
}

/** `std` projects the smaller dimension, `reverse_std` the larger one; a square is projected on the right by `std`. */
export function resolveSide(side: OfficialSide, [m, n]: readonly [number, number]): ResolvedSide {
  if (side === 'std') return m >= n ? 'right' : 'left';
  if (side === 'reverse_std') return m >= n ? 'left' : 'right';
  return side;
}

/** The rank that FRUGAL's code gives a density: a share of the projected dimension, ties to even. */
export function rankOfDensity(density: number, side: ResolvedSide, [m, n]: readonly [number, number]): number {
  return roundHalfToEven(density * (side === 'right' ? n : side === 'left' ? m : Math.min(m, n)));
}

/** @param wanted The rank; of singular vectors there are no more than the smaller dimension, and slicing takes those. */
export function denseFactors(
  side: ResolvedSide,
  wanted: number,
  type: 'svd' | 'random' | 'randperm',
  [m, n]: readonly [number, number],
): DenseFactors {
  const rank = type === 'svd' ? Math.min(wanted, m, n) : wanted;
  const [left, right] = [[m, rank] as const, [rank, n] as const];
  const shapes = { right: [right], left: [left], full: [left, right] }[side];
  const rotates = (side !== 'left' && rank === n) || (side !== 'right' && rank === m);
  return { side, rank, shapes, rotates };
}
