import { svd } from '@frugaljs/projectors';
import type { AdamWOptions } from '@frugaljs/state-full';
import { drop } from '../combine/drop.js';
import { type ComposedOptimizer, compose } from '../optimizer.js';
import { subspace } from '../subspace.js';
import { GALORE_OPTIONS } from './options.js';
import {
  type CommonOptions,
  chooseAdam,
  chooseSize,
  composeSettings,
  decayOf,
  requireRecipeOptions,
  type SubspaceScope,
  scopedGroups,
  scopedProjector,
} from './settings.js';

export interface GaloreOptions extends CommonOptions, SubspaceScope {
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
}

/**
 * GaLore: Adam on the gradient projected on its leading singular vectors; the rest of the gradient is dropped. Plain Adam
 * for all that is not a hidden matrix, or of which the subspace would have nothing. Learning rate 0.01 by default, weight
 * decay after the step.
 *
 * Source: Zhao et al., "GaLore: Memory-Efficient LLM Training by Gradient Low-Rank Projection", ICML 2024
 * (arXiv 2403.03507), Algorithm 2.
 */
export function galore(options: GaloreOptions = {}): ComposedOptimizer {
  requireRecipeOptions('galore', options, GALORE_OPTIONS);
  const { updateGap = 200, scale = 0.25, adam } = options;
  const rule = chooseAdam('galore.adam', adam);
  const projected = subspace({
    projector: scopedProjector(options, svd(chooseSize('galore', options, 0.25))),
    rule,
    combine: drop(),
    refresh: { every: updateGap },
    onRefresh: 'keep',
  });
  const decay = { decay: 'after', ...decayOf(options) } as const;
  return compose({
    ...composeSettings('galore', options, 0.01),
    groups: scopedGroups('galore', options, { use: projected, lrScale: scale, ...decay }, { use: rule, ...decay }),
  });
}
