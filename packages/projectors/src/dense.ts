import type { Basis, BasisSpec } from '@frugaljs/core';
import { clone, matMul, slice, square, type Tensor, type Tensor2D, tidy, transpose } from '@tensorflow/tfjs-core';
import type { DensePlan } from './sides.js';

/** Orthonormal factors U (m × r) and V (n × r) of a dense subspace; an absent factor stands for the identity. */
export interface DenseBasis {
  readonly left?: Tensor;
  readonly right?: Tensor;
}

export type DenseBasisName = 'left' | 'right';

/** The factors a plan needs. */
export function denseSpec({ rank, left, right }: DensePlan): Readonly<Record<DenseBasisName, BasisSpec>> {
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
export function denseTransport(x: Tensor, from: DenseBasis, to: DenseBasis, degree: 1 | 2): Tensor {
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
