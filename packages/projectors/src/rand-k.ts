import {
  type Projector,
  randomSubset,
  randomSubsetByMask,
  requireKnownKeys,
  type Shape,
  type Site,
  sizeOf,
  UnsupportedShapeError,
} from '@frugaljs/core';
import { gather, reshape, tidy } from '@tensorflow/tfjs-core';
import { drawIndices, indexSpec, keptOf, scatterSlices } from './coordinates.js';
import { type DensityOptions, requireDensity } from './requirements.js';

/** Revision 1 hashed once per entry of the parameter; its choice is derived again for state that was saved with it. */
const REVISION = 2;

export type RandKOptions = DensityOptions;

/**
 * RandK: K = trunc(ρ · size) single entries of the flattened parameter, drawn anew in every refresh without replacement.
 *
 *     down(G) = flat(G)[J]: R^size → R^K        up(X) = zeros with X at J, in the parameter's shape
 *
 * Works on parameters of any shape.
 *
 * Basis: K int32 indices, half as many bytes as the two float32 moments of Adam; re-derived from the seed on load and
 * never saved. `up` gives exact zeros outside J, so the residual is exact. A refresh draws on the host, in time O(K).
 *
 * @param options `density` ρ ∈ [0, 1], default 0.25.
 * @throws InvalidOptionError for an unknown option or a density outside [0, 1].
 * @throws UnsupportedShapeError from `check`, for more than 2³¹ entries.
 *
 * Source: FRUGAL (arXiv 2411.07837), projection type "RandK".
 */
export function randK(options: RandKOptions = {}): Projector<'indices'> {
  requireKnownKeys('randK', options, ['density']);
  const density = requireDensity('randK', options);
  const kept = (shape: Shape): number => keptOf(sizeOf(shape), density);
  return {
    kind: 'randK',
    options: { density },
    traits: { orthonormal: true, coordinate: true, basisFrom: 'seed' },
    revision: REVISION,
    check: site => requireIndexable(site),
    reducedShape: ({ shape }) => [kept(shape)],
    basis: ({ shape }) => indexSpec(kept(shape)),
    fit: (_g, _previous, context) => {
      const { shape } = context.site;
      const draw = context.revision === 1 ? randomSubset : randomSubsetByMask;
      return drawIndices('randK', sizeOf(shape), kept(shape), context, draw);
    },
    down: (g, { indices }, { shape }) => tidy(() => gather(reshape(g, [sizeOf(shape)]), indices)),
    up: (x, { indices }, { shape }) => tidy(() => reshape(scatterSlices(x, indices, [sizeOf(shape)]), [...shape])),
  };
}

/** Throws unless int32 indices reach every entry of the parameter. */
function requireIndexable(site: Site): void {
  const size = sizeOf(site.shape);
  if (size <= 2 ** 31) return;
  throw new UnsupportedShapeError({
    parameter: `randK at "${site.name}"`,
    found: `${size} entries, shape [${site.shape}]`,
    expected: 'at most 2^31 entries, because int32 indices count no further',
    advice: 'Choose whole rows or columns of such a parameter instead of entries.',
  });
}
