import { InvalidOptionError, type Projector, sizeOf, UnsupportedShapeError } from '@frugaljs/core';
import { type AdamWOptions, adamW } from '@frugaljs/state-full';
import { drop } from '../combine/drop.js';
import { type ComposedOptimizer, compose } from '../optimizer.js';
import type { Match } from '../options.js';
import { subspace } from '../subspace.js';
import { GALORE_OPTIONS } from './options.js';
import {
  type CommonOptions,
  chooseProjector,
  composeSettings,
  decayOf,
  PROJECTABLE,
  requireRecipeOptions,
} from './settings.js';

export interface GaloreOptions extends CommonOptions {
  /** Rank of the subspace; give this or `density`. */
  readonly rank?: number;
  /** Rank as a share of the smaller dimension. Default 0.25. */
  readonly density?: number;
  /** Updates between two singular value decompositions (T). Default 200. */
  readonly updateGap?: number;
  /** Factor α on the learning rate of the projected parameters. Default 0.25. */
  readonly scale?: number;
  /** Betas and epsilon of Adam. Default: GaLore's, with epsilon 1e-6 added before bias correction. */
  readonly adam?: AdamWOptions;
  /** The parameters to train in a subspace. Default: matrices other than embeddings and output layers. */
  readonly projectable?: Match;
}

/**
 * GaLore: Adam on the gradient projected on its leading singular vectors; the rest of the gradient is dropped. Learning
 * rate 0.01 by default, weight decay after the step.
 *
 * Source: Zhao et al., "GaLore: Memory-Efficient LLM Training by Gradient Low-Rank Projection", ICML 2024
 * (arXiv 2403.03507), Algorithm 2.
 */
export function galore(options: GaloreOptions = {}): ComposedOptimizer {
  requireRecipeOptions('galore', options, GALORE_OPTIONS);
  const { updateGap = 200, scale = 0.25, adam } = options;
  const rule = adamW({ epsilon: 1e-6, epsilonPlacement: 'beforeCorrection', ...adam });
  const projected = subspace({
    projector: requireTraining(chooseProjector('svd', chooseSize('galore', options, 0.25)), options.density),
    rule,
    combine: drop(),
    refresh: { every: updateGap },
    onRefresh: 'keep',
  });
  const decay = { decay: 'after', ...decayOf(options) } as const;
  return compose({
    ...composeSettings(options, 0.01),
    groups: [
      { match: options.projectable ?? PROJECTABLE, use: projected, lrScale: scale, optional: true, ...decay },
      { use: rule, ...decay },
    ],
  });
}

/** Checks that not both a rank and a density are given, and returns the one to use. */
function chooseSize(
  owner: string,
  { rank, density }: { readonly rank?: number; readonly density?: number },
  defaultDensity: number,
): { readonly [key: string]: number } {
  if (rank !== undefined && density !== undefined) {
    throw new InvalidOptionError({
      parameter: `${owner}.rank`,
      found: `rank ${rank} and density ${density}`,
      expected: 'a rank or a density, not both',
    });
  }
  return rank === undefined ? { density: density ?? defaultDensity } : { rank };
}

/**
 * The same projector, which also refuses parameters of which its share rounds to nothing: with the rest dropped they
 * would stay as they are without a word.
 *
 * @param density The share; 0 is taken at its word.
 */
function requireTraining(projector: Projector, density: number | undefined): Projector {
  if (density === 0) return projector;
  return {
    ...projector,
    check(site) {
      projector.check?.(site);
      const reduced = projector.reducedShape(site, 0);
      if (reduced !== null && sizeOf(reduced) > 0) return;
      throw new UnsupportedShapeError({
        parameter: `${projector.kind} at "${site.name}"`,
        found: `shape [${site.shape}], of which the share in the subspace rounds to nothing, and the rest is dropped`,
        expected: 'a parameter of which something is trained',
        advice: 'Raise the density, or leave such parameters out of `projectable`, so that the plain rule trains them.',
      });
    },
  };
}
