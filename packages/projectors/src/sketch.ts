import { type Projector, randomKey, randomNormals, requireKnownKeys, requireOneOf, type Site } from '@frugaljs/core';
import { tensor2d } from '@tensorflow/tfjs-core';
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
  type Side,
} from './dense.js';
import { type RankOptions, requireSize } from './requirements.js';

type OneSide = Exclude<Side, 'full'>;

const SIDES: readonly OneSide[] = ['std', 'reverse_std', 'left', 'right'];

export interface SketchOptions extends RankOptions {
  /** From which side the basis multiplies. Default `std`: the smaller dimension is projected. */
  readonly side?: OneSide;
}

/**
 * A Gaussian sketch, drawn anew in every refresh: P has independent entries from N(0, 1/r), so that E[P Pᵀ] = I.
 *
 *     right: down(G) = G P (m × r), up(X) = X Pᵀ     left: down(G) = Pᵀ G (r × n), up(X) = P X
 *
 * It keeps norms on average, E‖down(G)‖² = ‖G‖², with a relative variance of at most 2/r, and costs no orthonormalization.
 * But it is no projection: down ∘ up is not the identity, and up(down(G)) is G only on average; with d the dimension that is
 * projected, E‖up(down(G)) - G‖² = (d + 1)/r · ‖G‖². So it is for combines that take measures in the subspace and lift
 * nothing, such as `scaledGradient` of the composer. A sketch of full rank is still a sketch.
 *
 * r = round(ρ · projected dimension), ties to even.
 *
 * Basis: the float32 factor, r · dimension numbers, re-derived from the seed on load and never saved.
 *
 * @param options `density` ρ ∈ [0, 1] (default 0.25) or a fixed `rank`; `side`.
 * @throws InvalidOptionError for an unknown option, a value out of range, and from `check` for a rank above min(m, n).
 * @throws UnsupportedShapeError from `check`, for a parameter that is not a matrix.
 *
 * Source: APOLLO (arXiv 2412.05270), section 4.
 */
export function sketch(options: SketchOptions = {}): Projector<DenseBasisName> {
  requireKnownKeys('sketch', options, ['density', 'rank', 'side']);
  const size = requireSize('sketch', options);
  const side = requireOneOf('sketch.side', options.side ?? 'std', SIDES);
  const kept = (site: Pick<Site, 'name' | 'shape'>): 'row' | 'column' | null => keptAxis('sketch', site, side);
  /** As of an orthonormal basis, but with the factor also where that would be left out for the identity. */
  const sizes = (site: Pick<Site, 'name' | 'shape'>): DenseSizes => {
    const { rank, reducedShape } = denseSizes('sketch', site, side, size, 'projected');
    const [m, n] = site.shape as [number, number];
    return kept(site) === 'row' ? { rank, right: n, reducedShape } : { rank, left: m, reducedShape };
  };
  return {
    kind: 'sketch',
    options: { ...size, side },
    traits: { orthonormal: false, coordinate: false, basisFrom: 'seed', unbiased: true },
    check: site => void sizes(site),
    reducedShape: site => sizes(site).reducedShape,
    keeps: kept,
    basis: site => denseSpec(sizes(site)),
    fit: (_g, _previous, { site, refreshIndex }) => {
      const { rank, left, right } = sizes(site);
      const dimension = (left ?? right)!;
      const key = randomKey(site.seed, site.name, site.path, refreshIndex, 'sketch');
      const deviation = 1 / Math.sqrt(rank);
      const entries = randomNormals(key, dimension * rank).map(x => x * deviation);
      const factor = tensor2d(entries, [dimension, rank]);
      return denseBasis(left === undefined ? { right: factor } : { left: factor });
    },
    down: denseDown,
    up: denseUp,
    upRows: denseUpRows,
    transport: denseTransport,
  };
}
