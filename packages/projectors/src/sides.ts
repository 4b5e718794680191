import { InvalidOptionError, roundHalfToEven, type Shape, type Site } from '@frugaljs/core';
import { requireMatrix } from './site-requirements.js';
import type { SizeOption } from './size-options.js';

/**
 * From which side a dense projector multiplies an m × n matrix: `right` by n × r, `left` by r × m, `full` by both. `std`
 * is right when m ≥ n and else left, so that the smaller dimension is projected; `reverse_std` is right when m < n and
 * else left.
 */
export type Side = 'std' | 'reverse_std' | 'left' | 'right' | 'full';

export const SIDES: readonly Side[] = ['std', 'reverse_std', 'left', 'right', 'full'];

/** The subspace that a side and a size choose in an m × n matrix. It follows from the option and never from a result. */
export interface DensePlan {
  readonly rank: number;
  /** Rows of the left factor (m × r); absent when nothing is projected from the left, or everything is kept. */
  readonly left?: number;
  /** Rows of the right factor (n × r); likewise. */
  readonly right?: number;
  readonly reducedShape: Shape;
}

/**
 * Resolves side and rank for the parameter of a site.
 *
 * The rank of a density is round(ρ · projected dimension), ties to even; for `full` the smaller dimension counts. A
 * factor that would keep all of its dimension is left out: it stands for the identity, which costs neither memory nor
 * time and changes no coordinates.
 *
 * @param limit The most basis vectors that exist: `smaller` for singular vectors, of which there are min(m, n), or
 *   `projected` where the projected dimension is the bound. A density is clipped to it.
 * @throws UnsupportedShapeError when the parameter is not a matrix.
 * @throws InvalidOptionError when a fixed rank exceeds the smaller dimension.
 */
export function planDense(
  kind: string,
  { name, shape }: Pick<Site, 'name' | 'shape'>,
  side: Side,
  size: SizeOption,
  limit: 'smaller' | 'projected',
): DensePlan {
  const [m, n] = requireMatrix(kind, name, shape);
  const smaller = Math.min(m, n);
  const which = resolveSide(side, m, n);
  const projected = which === 'right' ? n : which === 'left' ? m : smaller;
  let rank: number;
  if ('rank' in size) {
    rank = size.rank;
    if (rank > smaller) {
      throw new InvalidOptionError({
        parameter: `${kind}.rank at "${name}"`,
        found: rank,
        expected: `at most ${smaller}, the smaller dimension of ${m} × ${n}`,
        advice: 'Lower the rank, give a density instead, or put this parameter in another group.',
      });
    }
  } else {
    rank = Math.min(roundHalfToEven(size.density * projected), limit === 'smaller' ? smaller : projected);
  }
  const left = which !== 'right' && rank < m ? { left: m } : {};
  const right = which !== 'left' && rank < n ? { right: n } : {};
  const reducedShape = which === 'right' ? [m, rank] : which === 'left' ? [rank, n] : [rank, rank];
  return { rank, ...left, ...right, reducedShape };
}

function resolveSide(side: Side, m: number, n: number): 'left' | 'right' | 'full' {
  if (side === 'std') return m >= n ? 'right' : 'left';
  if (side === 'reverse_std') return m < n ? 'right' : 'left';
  return side;
}
