import { type Basis, type BasisSpec, InvalidOptionError, roundHalfToEven, type Shape, type Site } from '@frugaljs/core';
import { clone, matMul, slice, square, type Tensor, type Tensor2D, tidy, transpose } from '@tensorflow/tfjs-core';
import { requireMatrix, type SizeOption } from './requirements.js';

// What projectors onto a dense subspace have in common: which side is projected to which rank, and the products with the
// factors of the basis.

/**
 * From which side a dense projector multiplies an m × n matrix: `right` by n × r, `left` by r × m, `full` by both. `std`
 * is right when m ≥ n and else left, so that the smaller dimension is projected; `reverse_std` is right when m < n and
 * else left.
 */
export type Side = 'std' | 'reverse_std' | 'left' | 'right' | 'full';

export const SIDES: readonly Side[] = ['std', 'reverse_std', 'left', 'right', 'full'];

/** What a side and a size choose in an m × n matrix. It follows from the options and never from a result. */
export interface DenseSizes {
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
export function denseSizes(
  kind: string,
  { name, shape }: Pick<Site, 'name' | 'shape'>,
  side: Side,
  size: SizeOption,
  limit: 'smaller' | 'projected',
): DenseSizes {
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

/**
 * The axis that a side leaves as it is, for `Projector.keeps`; null where both are projected. With a square basis, or one of
 * full rank, the reduced shape does not tell.
 */
export function keptAxis(
  kind: string,
  { name, shape }: Pick<Site, 'name' | 'shape'>,
  side: Side,
): 'row' | 'column' | null {
  const which = resolveSide(side, ...requireMatrix(kind, name, shape));
  return which === 'full' ? null : which === 'right' ? 'row' : 'column';
}

function resolveSide(side: Side, m: number, n: number): 'left' | 'right' | 'full' {
  if (side === 'std') return m >= n ? 'right' : 'left';
  if (side === 'reverse_std') return m < n ? 'right' : 'left';
  return side;
}

/** Orthonormal factors U (m × r) and V (n × r) of a dense subspace; an absent factor stands for the identity. */
export interface DenseBasis {
  readonly left?: Tensor;
  readonly right?: Tensor;
}

export type DenseBasisName = 'left' | 'right';

/** The factors of these sizes. */
export function denseSpec({ rank, left, right }: DenseSizes): Readonly<Record<DenseBasisName, BasisSpec>> {
  const specs: { [K in DenseBasisName]?: BasisSpec } = {};
  if (left !== undefined) specs.left = { shape: [left, rank], dtype: 'float32' };
  if (right !== undefined) specs.right = { shape: [right, rank], dtype: 'float32' };
  // Which factors exist depends on the shape of the parameter; the names are those that can occur.
  return specs as Record<DenseBasisName, BasisSpec>;
}

/** The factors as the basis of a projector. */
export function denseBasis(factors: DenseBasis): Basis<DenseBasisName> {
  return factors as Basis<DenseBasisName>;
}

/** Uᵀ G V. Factors are transposed rather than G: they are small, and matMul with a transpose flag is slow on wasm. */
export function denseDown(g: Tensor, { left, right }: DenseBasis): Tensor {
  if (left === undefined && right === undefined) return clone(g);
  return tidy(() => {
    const lower = left === undefined ? g : matMul(transpose(left) as Tensor2D, g as Tensor2D);
    return right === undefined ? lower : matMul(lower as Tensor2D, right as Tensor2D);
  });
}

/** U X Vᵀ. */
export function denseUp(x: Tensor, { left, right }: DenseBasis): Tensor {
  if (left === undefined && right === undefined) return clone(x);
  return tidy(() => {
    const upper = left === undefined ? x : matMul(left as Tensor2D, x as Tensor2D);
    return right === undefined ? upper : matMul(upper as Tensor2D, transpose(right) as Tensor2D);
  });
}

/**
 * U X Vᵀ by rows. V is not transposed beforehand, which would be done again for every few rows: where a step goes by
 * rows, products with a transposed factor are as fast as others.
 */
export function denseUpRows({ left, right }: DenseBasis): (x: Tensor, from: number, count: number) => Tensor {
  return (x, from, count) =>
    tidy(() => {
      const rows = slice((left ?? x) as Tensor2D, [from, 0], [count, -1]);
      const upper = left === undefined ? rows : matMul<Tensor2D>(rows, x as Tensor2D);
      return right === undefined ? upper : matMul(upper, right as Tensor2D, false, true);
    });
}

/**
 * Carries state between two dense subspaces: with C = P_new P_oldᵀ on each side that is projected,
 * degree 1 is C_left X C_rightᵀ, and degree 2 squares the entries of both, which keeps non-negative state non-negative.
 */
export function denseTransport(x: Tensor, from: DenseBasis, to: DenseBasis, _site: Site, degree: 1 | 2): Tensor {
  return tidy(() => {
    const ofDegree = (change: Tensor2D): Tensor2D => (degree === 2 ? square(change) : change);
    let carried = clone(x) as Tensor2D;
    if (from.left !== undefined && to.left !== undefined) {
      carried = matMul(ofDegree(matMul(transpose(to.left) as Tensor2D, from.left as Tensor2D)), carried);
    }
    if (from.right !== undefined && to.right !== undefined) {
      carried = matMul(carried, ofDegree(matMul(transpose(from.right) as Tensor2D, to.right as Tensor2D)));
    }
    return carried;
  });
}
