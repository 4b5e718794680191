import { columns } from '@frugaljs/projectors';
import { signSgd } from '@frugaljs/state-free';
import { adamW } from '@frugaljs/state-full';
import { residual } from '../../../../../packages/composer/src/combine/residual.js';
import type { ComposedOptimizer } from '../../../../../packages/composer/src/optimizer.js';
import {
  type CommonOptions,
  composeScoped,
  requireRecipeOptions,
  type SubspaceScope,
  scopedProjector,
} from '../../../../../packages/composer/src/recipes/settings.js';
import { subspace } from '../../../../../packages/composer/src/subspace.js';
import { TEMPLATE_RECIPE_OPTIONS } from './template-recipe-options.js';

export interface TemplateRecipeOptions extends CommonOptions, SubspaceScope {
  /** Share of the columns that has state, from 0 to 1. Default 0.25. */
  readonly density?: number;
  /** Updates between two choices of the columns (T). Default 200. */
  readonly updateGap?: number;
}

/**
 * AdamW on some columns of every matrix and the sign on the others, the starting point of a recipe. All other parameters
 * are trained by AdamW. Learning rate 1e-3 by default.
 *
 * @throws InvalidOptionError for an unknown option or a value outside its interval.
 */
export function templateRecipe(options: TemplateRecipeOptions = {}): ComposedOptimizer {
  requireRecipeOptions('templateRecipe', options, TEMPLATE_RECIPE_OPTIONS);
  const { density = 0.25, updateGap = 200 } = options;
  const split = subspace({
    projector: scopedProjector(options, columns({ density })),
    rule: adamW(),
    combine: residual(signSgd()),
    refresh: { every: updateGap },
  });
  return composeScoped('templateRecipe', options, 1e-3, { use: split }, { use: adamW() });
}
