import { describePart, type FitContext, matrixView, type Projector, requirePart, type Site } from '@frugaljs/core';
import { reshape, type Tensor, tidy } from '@tensorflow/tfjs-core';
import { requireAxes } from './requirements.js';

/**
 * Lets a projector of matrices work on tensors of more axes, seen as the matrix whose columns are the last axis:
 *
 *     kernel of a convolution             [h, w, in, out]            (h·w·in) × out
 *     of a convolution in one dimension   [w, in, out]               (w·in) × out
 *     of a depthwise convolution          [h, w, in, multiplier]     (h·w·in) × multiplier
 *
 * It is the matrix by which im2col multiplies. Tensors are stored row by row, so no number moves; a matrix is seen as it
 * is. Subspace, basis and sizes, the seed and what is saved are those of the inner projector for that matrix.
 *
 * Projectors onto coordinates (`rows`, `columns`, `randK`, `blockwise`) see every tensor so by themselves, and are returned
 * as they are.
 *
 * @param projector A projector of matrices, such as `svd({ rank: 8 })`.
 * @throws InvalidOptionError for what is no projector.
 * @throws UnsupportedShapeError from `check`, for a scalar or a vector, and what the inner projector throws for the matrix.
 */
export function asMatrix(projector: Projector): Projector {
  requirePart('asMatrix.projector', projector, 'projector', 'a projector such as svd({ density: 0.25 })');
  const { traits, revision, keeps, shapeWith, largestAt, upRows, transport } = projector;
  if (traits.coordinate) return projector;
  return {
    kind: 'asMatrix',
    options: { projector: describePart(projector) },
    traits,
    ...(revision === undefined ? {} : { revision }),
    check: site => {
      requireAxes('asMatrix', site, 2, 'a vector has no rows and columns');
      projector.check?.(matrixSite(site));
    },
    reducedShape: (site, refreshIndex) => projector.reducedShape(matrixSite(site), refreshIndex),
    ...(keeps === undefined ? {} : { keeps: site => keeps.call(projector, matrixSite(site)) }),
    ...(shapeWith === undefined
      ? {}
      : { shapeWith: (basis, site) => shapeWith.call(projector, basis, matrixSite(site)) }),
    ...(largestAt === undefined ? {} : { largestAt: site => largestAt.call(projector, matrixSite(site)) }),
    basis: (site, refreshIndex) => projector.basis(matrixSite(site), refreshIndex),
    fit: (g, previous, context) => {
      const within = { ...context, site: matrixSite(context.site) };
      const complete: FitContext = Object.assign(Object.create(Object.getPrototypeOf(context)), within);
      if (g === null) return projector.fit(null, previous, complete);
      return tidy(() => ({ ...projector.fit(matrixOf(g), previous, complete) }));
    },
    down: (g, basis, site) => tidy(() => projector.down(matrixOf(g), basis, matrixSite(site))),
    up: (x, basis, site) => tidy(() => reshape(projector.up(x, basis, matrixSite(site)), [...site.shape])),
    ...(upRows === undefined ? {} : { upRows: (basis, site) => upRows.call(projector, basis, matrixSite(site)) }),
    ...(transport === undefined
      ? {}
      : { transport: (x, from, to, site, degree) => transport.call(projector, x, from, to, matrixSite(site), degree) }),
  };
}

function matrixSite(site: Site): Site {
  return { ...site, shape: matrixView(site.shape) };
}

function matrixOf(x: Tensor): Tensor {
  return reshape(x, [...matrixView(x.shape)]);
}
