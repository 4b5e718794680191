import { type FitContext, type Projector, requireInteger, requireKnownKeys, requireOneOf } from '@frugaljs/core';
import { type DenseBasisName, denseSizes, SIDES } from './dense.js';
import { type RandomOptions, random } from './random.js';
import { requireSize } from './requirements.js';
import { svd } from './svd.js';

export interface SvdThenRandomOptions extends RandomOptions {
  /** Refreshes that are fitted to the gradient, from the first on. Default 100. */
  readonly fitted?: number;
}

/**
 * The leading singular vectors of the gradient in the first refreshes, and uniformly random orthonormal bases of the same
 * size in all later ones: GoLore. Late in a run gradients are mostly noise, of which singular vectors follow the largest
 * part; a subspace drawn without them keeps the convergence that plain Adam has.
 *
 * Basis, sizes and sides are those of `svd` and `random`. All of the basis is saved.
 *
 * @param options `density` ρ ∈ [0, 1] (default 0.25) or a fixed `rank`; `side`; `fitted`.
 * @throws InvalidOptionError for an unknown option or a value out of range.
 * @throws UnsupportedShapeError from `check`, for a parameter that is not a matrix.
 *
 * Source: GoLore (arXiv 2410.11289), Algorithm 2, which switches after four fifths of a run.
 */
export function svdThenRandom(options: SvdThenRandomOptions = {}): Projector<DenseBasisName> {
  requireKnownKeys('svdThenRandom', options, ['density', 'rank', 'side', 'fitted']);
  const { fitted = 100, ...size } = options;
  requireInteger('svdThenRandom.fitted', fitted, 0);
  const chosen = requireSize('svdThenRandom', size);
  const side = requireOneOf('svdThenRandom.side', size.side ?? 'std', SIDES);
  const { revision, ...first } = svd({ ...chosen, side });
  return {
    ...first,
    kind: 'svdThenRandom',
    options: { ...chosen, side, fitted },
    check: site => void denseSizes('svdThenRandom', site, side, chosen, 'smaller'),
    fit: (g, previous, context) => {
      if (context.refreshIndex < fitted) return first.fit(g, previous, revised(context, revision!));
      const { rank } = denseSizes('svdThenRandom', context.site, side, chosen, 'smaller');
      return random({ rank, side }).fit(null, null, context);
    },
  };
}

/** What it counts as its first way is the latest one of `svd`. */
function revised(context: FitContext, revision: number): FitContext {
  return Object.assign(Object.create(Object.getPrototypeOf(context)), context, { revision });
}
