import { matrixView, type Projector, requireKnownKeys, type Shape } from '@frugaljs/core';
import { add, cast, gather, range, reshape, scatterND, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { drawIndices, indexSpec, keptOf } from './coordinates.js';
import { type DensityOptions, requireAxes, requireDensity } from './requirements.js';

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
        return reshape(gather(reshape(g, [rows, count]), indices, 1), [...shape.slice(0, -1), indices.size]);
      }),
    up: (x, { indices }, { shape }) =>
      tidy(() => {
        const [rows, count] = matrixView(shape);
        return reshape(scatterColumns(reshape(x, [rows, indices.size]), indices, count), [...shape]);
      }),
  };
}

/** Above this, float32 no longer counts every integer. */
const LARGEST_EXACT = 2 ** 24;

/** A matrix of zeros with the columns of `x` at `indices`. */
function scatterColumns(x: Tensor, indices: Tensor, columns: number): Tensor {
  const rows = x.shape[0]!;
  return tidy(() => {
    const positions = flatPositions(indices, rows, columns);
    return reshape(scatterND(positions, reshape(x, [x.size]), [rows * columns]), [rows, columns]);
  });
}

/**
 * Positions of the entries `[:, indices]` in the flattened matrix, as `[entries, 1]`. Added as floats while those are
 * exact: wasm broadcasts int32 additions about thirty times slower.
 */
function flatPositions(indices: Tensor, rows: number, columns: number): Tensor {
  const type = rows * columns <= LARGEST_EXACT ? 'float32' : 'int32';
  const starts = reshape(range(0, rows * columns, columns, type), [rows, 1]);
  return cast(reshape(add(starts, cast(indices, type)), [rows * indices.size, 1]), 'int32');
}
