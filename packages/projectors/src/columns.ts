import { matrixView, type Projector, requireKnownKeys, type Shape } from '@frugaljs/core';
import { reshape, tidy } from '@tensorflow/tfjs-core';
import { putColumns, takeColumns } from './coordinates.js';
import { drawIndices, indexSpec, keptOf } from './index-draw.js';
import { requireAxes } from './site-requirements.js';
import { type DensityOptions, requireDensity } from './size-options.js';

export type ColumnsOptions = DensityOptions;

/**
 * Random columns: indices J ⊂ {0 … n-1} along the last axis, K = trunc(ρ n) of them, drawn anew in every refresh.
 *
 *     down(G) = G[…, J]: […, n] → […, K]        up(X) = zeros with X at […, J]
 *
 * Works on parameters with at least one axis: the columns of a vector are its entries, those of a tensor with more than
 * two axes are slices of its last axis. In a TensorFlow.js dense kernel (inputs × outputs) a column is an output
 * neuron; in PyTorch's layout (outputs × inputs) it is an input feature.
 *
 * Basis: K int32 indices, re-derived from the seed on load and never saved. `up` gives exact zeros outside J, so the
 * residual is exact. Time: one gather and one scatter.
 *
 * @param options `density` ρ ∈ [0, 1], default 0.25.
 * @throws InvalidOptionError for an unknown option or a density outside [0, 1].
 * @throws UnsupportedShapeError from `check`, for a scalar.
 *
 * Source: FRUGAL (arXiv 2411.07837), projection type "Columns", the default of its reference implementation.
 */
export function columns(options: ColumnsOptions = {}): Projector<'indices'> {
  requireKnownKeys('columns', options, ['density']);
  const density = requireDensity('columns', options);
  const kept = (shape: Shape): number => keptOf(matrixView(shape)[1], density);
  return {
    kind: 'columns',
    options: { density },
    traits: { orthonormal: true, coordinate: true, basisFrom: 'seed' },
    check: site => requireAxes('columns', site, 1, 'a scalar has no columns to choose from'),
    reducedShape: ({ shape }) => [...shape.slice(0, -1), kept(shape)],
    basis: ({ shape }) => indexSpec(kept(shape)),
    fit: (_g, _previous, context) => {
      const { shape } = context.site;
      return drawIndices('columns', matrixView(shape)[1], kept(shape), context);
    },
    down: (g, { indices }, { shape }) =>
      tidy(() => {
        const [rows, count] = matrixView(shape);
        return reshape(takeColumns(reshape(g, [rows, count]), indices), [...shape.slice(0, -1), indices.size]);
      }),
    up: (x, { indices }, { shape }) =>
      tidy(() => {
        const [rows, count] = matrixView(shape);
        return reshape(putColumns(reshape(x, [rows, indices.size]), indices, count), [...shape]);
      }),
  };
}
