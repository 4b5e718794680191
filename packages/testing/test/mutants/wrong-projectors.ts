import { type FitContext, matrixView, type Projector, randomKey, randomNormals, randomSubset } from '@frugaljs/core';
import { columns, rows, svd } from '@frugaljs/projectors';
import {
  add,
  matMul,
  mul,
  reshape,
  square,
  sum,
  type Tensor2D,
  tensor1d,
  tensor2d,
  tidy,
  transpose,
} from '@tensorflow/tfjs-core';

/** A stream of random numbers of a place and a refresh. */
export const keyOf = ({ site, refreshIndex }: FitContext, ...more: number[]): ReturnType<typeof randomKey> =>
  randomKey(site.seed, site.name, site.path, refreshIndex, ...more);

/** Random rows, of a count that the mutant decides. */
export function rowsOfCount(count: (m: number) => number): Projector {
  const right = rows({ density: 1 });
  const kept = (shape: readonly number[]): number => count(matrixView(shape)[0]);
  return {
    ...right,
    reducedShape: ({ shape }) => [kept(shape), matrixView(shape)[1]],
    basis: ({ shape }) => ({ indices: { shape: [kept(shape)], dtype: 'int32' } }),
    fit: (_g, _previous, context) => {
      const { shape } = context.site;
      return { indices: tensor1d(randomSubset(keyOf(context), matrixView(shape)[0], kept(shape)), 'int32') };
    },
  };
}

/** Columns as a dense projector of a rank that the mutant decides. */
export function denseOfRank(rank: (n: number) => number): Projector {
  const right = columns({ density: 1 });
  return {
    ...right,
    traits: { orthonormal: true, coordinate: false, basisFrom: 'seed' },
    reducedShape: ({ shape }) => [shape[0]!, rank(shape[1]!)],
    basis: ({ shape }) => ({ indices: { shape: [rank(shape[1]!)], dtype: 'int32' } }),
    fit: (_g, _previous, context) => {
      const n = context.site.shape[1]!;
      return { indices: tensor1d(randomSubset(keyOf(context), n, rank(n)), 'int32') };
    },
  };
}

/** down(G) = G A and up(X) = X B with AᵀB = I and A ≠ B: keep the first half of the columns, lift to a sheared copy. */
export function oblique(): Projector {
  const half = (n: number): number => Math.max(1, Math.floor(n / 2));
  return {
    kind: 'oblique',
    options: {},
    traits: { orthonormal: true, coordinate: false, basisFrom: 'fixed' },
    reducedShape: ({ shape }) => [shape[0]!, half(shape[1]!)],
    basis: () => ({}),
    fit: () => ({}),
    down: (g, _basis, { shape }) => tidy(() => matMul(g as Tensor2D, transpose(shear(shape[1]!, half(shape[1]!), 0)))),
    up: (x, _basis, { shape }) => tidy(() => matMul(x as Tensor2D, shear(shape[1]!, half(shape[1]!), 1))),
  };
}

/** `[I | s]` of shape r × n. */
function shear(n: number, r: number, s: number): Tensor2D {
  return tensor2d(
    Array.from({ length: r }, (_, i) => Array.from({ length: n }, (_c, j) => (j < r ? Number(i === j) : s))),
    [r, n],
  );
}

/** The trunc(ρ m) rows of the smallest norm. */
export function smallestRows({ density }: { readonly density: number }): Projector {
  const right = rows({ density });
  return {
    ...right,
    traits: { orthonormal: true, coordinate: true, basisFrom: 'gradient' },
    fit: (g, _previous, { site }) => {
      const [m, n] = matrixView(site.shape);
      const sizes = tidy(() => sum(square(reshape(g!, [m, n])), 1).dataSync());
      const order = Array.from({ length: m }, (_, row) => row).sort((a, b) => sizes[a]! - sizes[b]!);
      const chosen = order.slice(0, Math.trunc(density * m)).sort((a, b) => a - b);
      return { indices: tensor1d(chosen, 'int32') };
    },
  };
}

/** Singular vectors of the smallest singular values: those of a fixed large matrix minus the gradient's. */
export function smallest({ density }: { readonly density: number }): Projector {
  const right = svd({ density });
  return {
    ...right,
    fit: (g, previous, context) =>
      tidy(() => {
        const largest = right.fit(g, previous, context);
        // The leading subspace of a random matrix without the part that the right basis would keep.
        const other = tensor2d(randomNormals(keyOf(context), g!.size), g!.shape as [number, number]);
        const rest = add(other, mul(right.up(right.down(other, largest, context.site), largest, context.site), -1));
        return right.fit(rest, null, context);
      }),
  };
}
