import type { Basis, BasisSpec, Projector, Shape } from '@frugaljs/core';
import { leadingSingularTriplets, leadingSubspace } from '@frugaljs/linalg';
import { matMul, type Tensor, type Tensor2D, tidy, transpose } from '@tensorflow/tfjs-core';
import type { ResolvedSide } from './side.js';

type Factor = 'left' | 'right';

/**
 * Singular vectors with every factor kept, also one that is square: down(G) = Uᵀ G V. The library's `svd` leaves a
 * square factor out, since it only turns coordinates; rules such as Adam take other steps in turned coordinates, and the
 * official code turns them.
 */
export function rotation(side: ResolvedSide, rank: number): Projector<Factor> {
  const [left, right] = [side !== 'right', side !== 'left'];
  return {
    kind: 'rotation',
    options: { side, rank },
    traits: { orthonormal: true, coordinate: false, basisFrom: 'gradient' },
    reducedShape: ({ shape }): Shape => [left ? rank : shape[0]!, right ? rank : shape[1]!],
    basis: ({ shape }) =>
      factors<BasisSpec>(
        left ? { shape: [shape[0]!, rank], dtype: 'float32' } : undefined,
        right ? { shape: [shape[1]!, rank], dtype: 'float32' } : undefined,
      ),
    fit: g => {
      const matrix = g as Tensor2D;
      if (!left) return factors<Tensor>(undefined, leadingSubspace(matrix, 'right', { rank, method: 'exact' }));
      if (!right) return factors<Tensor>(leadingSubspace(matrix, 'left', { rank, method: 'exact' }), undefined);
      const triplets = leadingSingularTriplets(matrix, { rank, method: 'exact' });
      triplets.values.dispose();
      return factors<Tensor>(triplets.left, triplets.right);
    },
    down: (g, { left: u, right: v }: Partial<Basis<Factor>>) =>
      tidy(() => {
        const lower = u === undefined ? g : matMul(transpose(u) as Tensor2D, g as Tensor2D);
        return v === undefined ? lower : matMul(lower as Tensor2D, v as Tensor2D);
      }),
    up: (x, { left: u, right: v }: Partial<Basis<Factor>>) =>
      tidy(() => {
        const upper = u === undefined ? x : matMul(u as Tensor2D, x as Tensor2D);
        return v === undefined ? upper : matMul(upper as Tensor2D, transpose(v) as Tensor2D);
      }),
  };
}

/** Names the factors that there are. */
function factors<T>(left: T | undefined, right: T | undefined): Record<Factor, T> {
  return { ...(left === undefined ? {} : { left }), ...(right === undefined ? {} : { right }) } as Record<Factor, T>;
}
