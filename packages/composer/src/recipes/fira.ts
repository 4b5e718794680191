import { svd } from '@frugaljs/projectors';
import type { AdamWOptions } from '@frugaljs/state-full';
import { scaledResidual } from '../combine/scaled-residual.js';
import { type ComposedOptimizer, compose } from '../optimizer.js';
import { subspace } from '../subspace.js';
import { FIRA_OPTIONS } from './options.js';
import {
  type CommonOptions,
  chooseAdam,
  chooseProjector,
  chooseSize,
  composeSettings,
  correctedAfter,
  decayOf,
  type ProjectorChoice,
  requireRecipeOptions,
  type SubspaceScope,
  scopedGroups,
  scopedProjector,
} from './settings.js';

export interface FiraOptions extends CommonOptions, SubspaceScope {
  /** Rank of the subspace; give this or `density`. */
  readonly rank?: number;
  /** Rank as a share of the smaller dimension. Default 0.25. */
  readonly density?: number;
  /** The subspace: a projector, its JSON, or a name that takes `rank` or `density`. Default `svd`. */
  readonly projector?: ProjectorChoice;
  /** Updates between two choices of the subspace (T). Default 200. */
  readonly updateGap?: number;
  /** Factor α on the direction of the subspace, and on what the residual leaves out of the gradient. Default 0.25. */
  readonly scale?: number;
  /** γ: the norm of the residual's step grows by this factor at most. `Infinity` limits nothing. Default 1.01. */
  readonly limit?: number;
  /** Betas and epsilon of Adam. Default: GaLore's, with epsilon 1e-6 added before bias correction. */
  readonly adam?: AdamWOptions;
}

/**
 * Fira: Adam on the gradient projected on its leading singular vectors, as in GaLore; what the projection misses is stepped
 * on by the raw gradient, scaled row by row (or column by column) as Adam scales the gradient in the subspace. Plain Adam
 * for all that is not a hidden matrix. Learning rate 0.01 by default, weight decay after the step.
 *
 * α is where the public code has it, on the direction of the subspace and within the residual, G - α ΠG. The paper scales
 * the whole by α: `scale: 1` with a learning rate of α times this one.
 *
 * Source: Chen et al., "Fira: Can We Achieve Full-rank Training of LLMs Under Low-rank Constraint?", 2024
 * (arXiv 2410.01623).
 */
export function fira(options: FiraOptions = {}): ComposedOptimizer {
  requireRecipeOptions('fira', options, FIRA_OPTIONS);
  const { updateGap = 200, scale = 0.25, limit = 1.01, projector, adam } = options;
  const rule = chooseAdam('fira.adam', adam);
  const size = chooseSize('fira', options, 0.25);
  const use = correctedAfter(rule, inside =>
    subspace({
      projector: scopedProjector(
        options,
        projector === undefined ? svd(size) : chooseProjector('fira.projector', projector, size),
      ),
      rule: inside,
      combine: scaledResidual({ scale, share: scale, factor: limit }),
      refresh: { every: updateGap },
      onRefresh: 'keep',
    }),
  );
  const decay = { decay: 'after', ...decayOf(options) } as const;
  return compose({
    ...composeSettings('fira', options, 0.01),
    groups: scopedGroups('fira', options, { use, ...decay }, { use: rule, ...decay }),
  });
}
