import type { OptionTable } from '@frugaljs/core';

/** The options of `templateRecipe`: the row in the README repeats the defaults. */
export const TEMPLATE_RECIPE_OPTIONS: OptionTable<
  'density' | 'updateGap' | 'projectable' | 'fullRank' | 'convolutions'
> = {
  density: { type: 'number', interval: '[0, 1]', default: 0.25, meaning: 'share of the columns that has state' },
  updateGap: { type: 'integer', minimum: 1, default: 200, meaning: 'updates between two choices of the columns' },
  projectable: { type: 'structure', meaning: 'the parameters to train in a subspace: a `match` of a group' },
  fullRank: { type: 'structure', meaning: 'names that the plain rule trains, such as the output layer of tf.layers' },
  convolutions: { type: 'boolean', default: false, meaning: 'kernels of convolutions in a subspace, too, as matrices' },
};
