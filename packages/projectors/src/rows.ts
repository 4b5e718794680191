import { matrixView, type Projector, requireKnownKeys, type Shape } from '@frugaljs/core';
import { gather, reshape, tidy } from '@tensorflow/tfjs-core';
import { drawIndices, indexSpec, keptOf, scatterSlices } from './coordinates.js';
import { type DensityOptions, requireAxes, requireDensity } from './requirements.js';

export type RowsOptions = DensityOptions;

/**
 * Random rows: indices J ⊂ {0 … m-1}, K = trunc(ρ m) of them, drawn anew in every refresh.
 *
 *     down(G) = G[J, :]: m × n → K × n        up(X) = zeros with X at [J, :]
 *
 * A tensor with more than two axes counts as the matrix whose columns are its last axis, so its m rows are indexed by
 * all other axes together and the reduced shape is [K, n]. A vector is a single row: there is nothing to choose from,
 * and `check` says so (`columns` and `randK` choose among its entries).
 *
 * Basis: K int32 indices, re-derived from the seed on load and never saved. `up` gives exact zeros outside J, so the
 * residual is exact. Time: one gather and one scatter of whole rows, the cheapest of all projectors.
 *
 * @param options `density` ρ ∈ [0, 1], default 0.25.
 * @throws InvalidOptionError for an unknown option or a density outside [0, 1].
 * @throws UnsupportedShapeError from `check`, for a scalar or a vector.
 *
 * Source: FRUGAL (arXiv 2411.07837), projection type "Rows" of its reference implementation.
 */
export function rows(options: RowsOptions = {}): Projector<'indices'> {
  requireKnownKeys('rows', options, ['density']);
  const density = requireDensity('rows', options);
  const kept = (shape: Shape): number => keptOf(matrixView(shape)[0], density);
  return {
    kind: 'rows',
    options: { density },
    traits: { orthonormal: true, coordinate: true, basisFrom: 'seed' },
    check: site => requireAxes('rows', site, 2, 'a vector is a single row; columns and randK can choose its entries'),
    reducedShape: ({ shape }) => [kept(shape), matrixView(shape)[1]],
    basis: ({ shape }) => indexSpec(kept(shape)),
    fit: (_g, _previous, context) => {
      const { shape } = context.site;
      return drawIndices('rows', matrixView(shape)[0], kept(shape), context);
    },
    down: (g, { indices }, { shape }) => tidy(() => gather(reshape(g, [...matrixView(shape)]), indices)),
    up: (x, { indices }, { shape }) => tidy(() => reshape(scatterSlices(x, indices, matrixView(shape)), [...shape])),
  };
}
