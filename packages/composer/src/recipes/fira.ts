import { scaledResidual } from '../combine/scaled-residual.js';
import type { ComposedOptimizer } from '../optimizer.js';
import { subspace } from '../subspace.js';
import type { GaloreOptions } from './galore.js';
import { FIRA_OPTIONS } from './options.js';
import {
  chooseAdam,
  chooseProjector,
  chooseSize,
  composeScoped,
  correctedAfter,
  type ProjectorChoice,
  requireRecipeOptions,
  scopedProjector,
} from './settings.js';

export interface FiraOptions extends GaloreOptions {
  /** The subspace: a projector, its JSON, or a name that takes `rank` or `density`. Default `svd`. */
  readonly projector?: ProjectorChoice;
  /** Factor α on the direction of the subspace, and on what the residual leaves out of the gradient. Default 0.25. */
  readonly scale?: number;
  /** γ: the norm of the residual's step grows by this factor at most. `Infinity` limits nothing. Default 1.01. */
  readonly limit?: number;
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
  const { updateGap = 200, scale = 0.25, limit = 1.01, projector = 'svd', adam } = options;
  const rule = chooseAdam('fira.adam', adam);
  const size = chooseSize('fira', options, 0.25);
  const use = correctedAfter(rule, inside =>
    subspace({
      projector: scopedProjector(options, chooseProjector('fira.projector', projector, size)),
      rule: inside,
      combine: scaledResidual({ scale, share: scale, factor: limit }),
      refresh: { every: updateGap },
      onRefresh: 'keep',
    }),
  );
  return composeScoped('fira', options, 0.01, { use, decay: 'after' }, { use: rule, decay: 'after' });
}
