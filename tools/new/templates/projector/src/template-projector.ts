import { matrixView, type Projector, requireKnownKeys, requireNumber, type Shape } from '@frugaljs/core';
import { pad, range, reshape, slice, tidy } from '@tensorflow/tfjs-core';

export interface TemplateProjectorOptions {
  /** Share ρ of the rows that is in the subspace, in [0, 1]. Default 0.25. */
  readonly density?: number;
}

/**
 * The first rows, the starting point of a projector: K = trunc(ρ m) of the m rows, the same in every refresh.
 *
 *     down(G) = G[0 … K-1, :]: m × n → K × n        up(X) = X with m - K rows of zeros below
 *
 * A tensor with more than two axes counts as the matrix whose columns are its last axis; a vector is one row. Basis:
 * K int32 `indices`, fixed and never saved.
 *
 * @throws InvalidOptionError for an unknown option or a value outside its interval.
 */
export function templateProjector(options: TemplateProjectorOptions = {}): Projector<'indices'> {
  requireKnownKeys('templateProjector', options, ['density']);
  const { density = 0.25 } = options;
  requireNumber('templateProjector.density', density, '[0, 1]');
  const kept = (shape: Shape): number => Math.trunc(density * matrixView(shape)[0]);
  return {
    kind: 'templateProjector',
    options: { density },
    traits: { orthonormal: true, coordinate: true, basisFrom: 'fixed' },
    reducedShape: ({ shape }) => [kept(shape), matrixView(shape)[1]],
    basis: ({ shape }) => ({ indices: { shape: [kept(shape)], dtype: 'int32' } }),
    fit: (_g, _previous, { site }) => ({ indices: range(0, kept(site.shape), 1, 'int32') }),
    down: (g, _basis, { shape }) =>
      tidy(() => slice(reshape(g, [...matrixView(shape)]), [0, 0], [kept(shape), matrixView(shape)[1]])),
    up: (x, _basis, { shape }) =>
      tidy(() => {
        const rowsBelow: [number, number] = [0, matrixView(shape)[0] - kept(shape)];
        return reshape(pad(x, [rowsBelow, [0, 0]]), [...shape]);
      }),
  };
}
