import { requireKnownKeys } from '@frugaljs/core';
import { type AdamWOptions, adamW } from '@frugaljs/state-full';
import { drop } from '../combine/drop.js';
import { type ComposedOptimizer, compose } from '../optimizer/composed-optimizer.js';
import type { Match } from '../optimizer/options.js';
import { subspace } from '../subspace.js';
import { COMMON_KEYS, type CommonOptions, chooseProjector, chooseSize, composeSettings, decayOf } from './parts.js';
import { PROJECTABLE } from './projectable.js';
import { requireTraining } from './require-training.js';

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
  const keys = ['rank', 'density', 'updateGap', 'scale', 'adam', 'projectable'];
  requireKnownKeys('galore', options, [...keys, ...COMMON_KEYS]);
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
