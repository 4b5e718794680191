import {
  type FitContext,
  type Projector,
  randomKey,
  randomNormals,
  requireKnownKeys,
  requireOneOf,
  type Site,
} from '@frugaljs/core';
import { semiOrthonormal } from '@frugaljs/linalg';
import { type Tensor, tensor2d, tidy } from '@tensorflow/tfjs-core';
import {
  type DenseBasisName,
  type DenseSizes,
  denseBasis,
  denseDown,
  denseSizes,
  denseSpec,
  denseTransport,
  denseUp,
  denseUpRows,
  keptAxis,
  SIDES,
  type Side,
} from './dense.js';
import { type RankOptions, requireSize } from './requirements.js';

export interface RandomOptions extends RankOptions {
  /** From which side the basis multiplies. Default `std`: the smaller dimension is projected. */
  readonly side?: Side;
}

/**
 * A random semi-orthonormal basis, drawn anew in every refresh: Q = the Q factor (with a positive diagonal of R) of a
 * Gaussian matrix, so uniform on all orthonormal r-frames (Haar), and E[Π] = (r / dimension) I.
 *
 *     right: down(G) = G V (m × r), up(X) = X Vᵀ     left: down(G) = Uᵀ G (r × n), up(X) = U X
 *     full:  down(G) = Uᵀ G V (r × r), up(X) = U X Vᵀ, U and V drawn independently
 *
 * r = round(ρ · projected dimension), ties to even; for `full` the smaller dimension counts. A factor with r equal to
 * its dimension is left out: it stands for the identity.
 *
 * Basis: the float32 factors, r · dimension numbers each, re-derived from the seed on load and never saved. The normal
 * numbers are the same on every engine; the orthonormalization is repeatable on the same backend.
 *
 * @param options `density` ρ ∈ [0, 1] (default 0.25) or a fixed `rank`; `side`.
 * @throws InvalidOptionError for an unknown option, a value out of range, and from `check` for a rank above min(m, n).
 * @throws UnsupportedShapeError from `check`, for a parameter that is not a matrix.
 *
 * Source: FRUGAL (arXiv 2411.07837), projection type "Random"; GoLore (arXiv 2410.11289) for the uniform distribution.
 */
export function random(options: RandomOptions = {}): Projector<DenseBasisName> {
  requireKnownKeys('random', options, ['density', 'rank', 'side']);
  const size = requireSize('random', options);
  const side = requireOneOf('random.side', options.side ?? 'std', SIDES);
  const sizes = (site: Pick<Site, 'name' | 'shape'>): DenseSizes => denseSizes('random', site, side, size, 'projected');
  return {
    kind: 'random',
    options: { ...size, side },
    traits: { orthonormal: true, coordinate: false, basisFrom: 'seed' },
    check: site => void sizes(site),
    reducedShape: site => sizes(site).reducedShape,
    keeps: site => keptAxis('random', site, side),
    basis: site => denseSpec(sizes(site)),
    fit: (_g, _previous, context) => {
      const { rank, left, right } = sizes(context.site);
      return denseBasis({
        ...(left === undefined ? {} : { left: frame(left, rank, 'left', context) }),
        ...(right === undefined ? {} : { right: frame(right, rank, 'right', context) }),
      });
    },
    down: denseDown,
    up: denseUp,
    upRows: denseUpRows,
    transport: denseTransport,
  };
}

/** A uniformly random `[dimension, rank]` matrix with orthonormal columns. */
function frame(dimension: number, rank: number, factor: string, { site, refreshIndex }: FitContext): Tensor {
  const key = randomKey(site.seed, site.name, site.path, refreshIndex, 'random', factor);
  return tidy(() => semiOrthonormal(tensor2d(randomNormals(key, dimension * rank), [dimension, rank])));
}
