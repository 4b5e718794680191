import { InvalidOptionError, UnknownNameError } from '@frugaljs/core/errors';
import { didYouMean, type OptionSpec, type OptionTable } from '@frugaljs/core/options';
import type { BlockwiseOptions } from '@frugaljs/projectors';
import {
  COMPOSE_OPTIONS,
  type ComposeOptions,
  GROUP_OPTIONS,
  REFRESH_OPTIONS,
  SIMILARITY_OPTIONS,
  SUBSPACE_OPTIONS,
} from '../options.js';

// `@frugaljs/composer/recipe-options`: the options of every recipe as tables, from which they are checked, offered in a form
// and documented. Nothing here loads tfjs.

const { groups: _, ...settings } = COMPOSE_OPTIONS;

/** The options of every recipe. */
export const COMMON_OPTIONS: OptionTable<Exclude<keyof ComposeOptions, 'groups'> | 'weightDecay'> = {
  ...settings,
  weightDecay: GROUP_OPTIONS.weightDecay,
};

/** Rows that several recipes share. */
const DENSITY: OptionSpec = {
  type: 'number',
  interval: '[0, 1]',
  default: 0.25,
  meaning: 'share of the projectable parameters that has state',
};
const UPDATE_GAP: OptionSpec = {
  type: 'integer',
  minimum: 1,
  orInfinity: true,
  default: 200,
  meaning: 'updates between two choices of the subspace',
};
const PROJECTABLE: OptionSpec = {
  type: 'structure',
  meaning: 'the parameters to train in a subspace: a `match` of a group',
};
/** Which parameters are in a subspace. */
const SCOPE: OptionTable<'projectable' | 'fullRank' | 'convolutions'> = {
  projectable: PROJECTABLE,
  fullRank: { type: 'structure', meaning: 'names that the plain rule trains, such as the output layer of tf.layers' },
  convolutions: { type: 'boolean', default: false, meaning: 'kernels of convolutions in a subspace, too, as matrices' },
};

export const FRUGAL_OPTIONS: OptionTable<
  | 'density'
  | 'projector'
  | 'stateFull'
  | 'stateFree'
  | 'updateGap'
  | 'onRefresh'
  | 'stateFreeScale'
  | 'tolerance'
  | 'lrScale'
  | keyof typeof SCOPE
> = {
  density: DENSITY,
  projector: { type: 'structure', default: 'rows', meaning: 'a projector, its JSON, or a name that takes `density`' },
  stateFull: { type: 'structure', default: 'adamW', meaning: 'the rule in the subspace and for all other parameters' },
  stateFree: { type: 'structure', default: 'signSgd', meaning: 'the rule for the rest of the gradient' },
  updateGap: UPDATE_GAP,
  onRefresh: SUBSPACE_OPTIONS.onRefresh,
  stateFreeScale: {
    type: 'number',
    interval: '[0, Infinity)',
    default: 1,
    meaning: 'factor on the learning rate of the state-free part',
  },
  tolerance: {
    type: 'number',
    interval: '[0, 1)',
    default: 1e-6,
    meaning: 'entries of the residual of svd, random and dct up to this share of the largest gradient count as 0',
  },
  lrScale: GROUP_OPTIONS.lrScale,
  ...SCOPE,
};

export const GALORE_OPTIONS: OptionTable<'rank' | 'density' | 'updateGap' | 'scale' | 'adam' | keyof typeof SCOPE> = {
  rank: { type: 'integer', minimum: 0, meaning: 'rank of the subspace, in the place of `density`' },
  density: { ...DENSITY, meaning: 'rank as a share of the smaller dimension' },
  updateGap: UPDATE_GAP,
  scale: {
    type: 'number',
    interval: '[0, Infinity)',
    default: 0.25,
    meaning: 'factor α on the learning rate of the projected parameters',
  },
  adam: { type: 'structure', meaning: 'options of its `adamW`' },
  ...SCOPE,
};

export const Q_GALORE_OPTIONS: OptionTable<'similarity' | 'last' | 'longestGap' | keyof typeof GALORE_OPTIONS> = {
  ...GALORE_OPTIONS,
  updateGap: { ...UPDATE_GAP, meaning: 'updates between two choices of the subspace, before they become more' },
  similarity: {
    ...SIMILARITY_OPTIONS.atLeast,
    meaning: 'mean of |cos| of first vectors, new and before, from which the interval of a parameter doubles',
  },
  last: SIMILARITY_OPTIONS.last,
  longestGap: { ...REFRESH_OPTIONS.longest, meaning: 'the longest interval' },
};

export const GOLORE_OPTIONS: OptionTable<'fitted' | keyof typeof GALORE_OPTIONS> = {
  ...GALORE_OPTIONS,
  fitted: {
    type: 'integer',
    minimum: 0,
    default: 100,
    meaning: 'choices of the subspace that are fitted to the gradient',
  },
};

export const DCT_ADAM_W_OPTIONS: typeof GALORE_OPTIONS = {
  ...GALORE_OPTIONS,
  updateGap: { ...UPDATE_GAP, default: 1 },
  scale: { ...GALORE_OPTIONS.scale, default: 1 },
};

export const ADAMEM_OPTIONS: OptionTable<'stateFreeScale' | Exclude<keyof typeof GALORE_OPTIONS, 'adam'>> = {
  rank: GALORE_OPTIONS.rank,
  density: GALORE_OPTIONS.density,
  updateGap: GALORE_OPTIONS.updateGap,
  ...SCOPE,
  scale: { ...GALORE_OPTIONS.scale, default: 1 },
  stateFreeScale: FRUGAL_OPTIONS.stateFreeScale,
};

/** γ of a limiter. */
const LIMIT: OptionSpec = {
  type: 'number',
  interval: '[1, Infinity]',
  default: 1.01,
  meaning: 'factor by which the norm of a step grows at most',
};

export const FIRA_OPTIONS: OptionTable<
  'rank' | 'density' | 'projector' | 'updateGap' | 'scale' | 'limit' | 'adam' | keyof typeof SCOPE
> = {
  rank: GALORE_OPTIONS.rank,
  density: GALORE_OPTIONS.density,
  projector: { type: 'structure', default: 'svd', meaning: 'a projector, its JSON, or a name that takes the rank' },
  updateGap: UPDATE_GAP,
  scale: {
    type: 'number',
    interval: '[0, Infinity)',
    default: 0.25,
    meaning: 'factor α on the step in the subspace, and on what the residual leaves out',
  },
  limit: { ...LIMIT, meaning: 'factor by which the norm of the residual’s step grows at most' },
  adam: GALORE_OPTIONS.adam,
  ...SCOPE,
};

const APOLLO_COMMON: OptionTable<'updateGap' | 'scale' | 'limit' | 'adam' | keyof typeof SCOPE> = {
  updateGap: { ...UPDATE_GAP, meaning: 'updates between two sketches' },
  scale: { type: 'number', interval: '[0, Infinity)', default: 1, meaning: 'its square root is a factor on the step' },
  limit: LIMIT,
  adam: GALORE_OPTIONS.adam,
  ...SCOPE,
};
export const APOLLO_OPTIONS: OptionTable<'rank' | 'density' | 'projector' | keyof typeof APOLLO_COMMON> = {
  rank: GALORE_OPTIONS.rank,
  density: GALORE_OPTIONS.density,
  projector: { type: 'structure', default: 'sketch', meaning: 'a projector, its JSON, or a name that takes the rank' },
  ...APOLLO_COMMON,
};
export const APOLLO_MINI_OPTIONS: OptionTable<'rank' | keyof typeof APOLLO_COMMON> = {
  rank: { type: 'integer', minimum: 1, default: 1, meaning: 'rank of the sketch' },
  ...APOLLO_COMMON,
  scale: { ...APOLLO_COMMON.scale, default: 128 },
};

type MatrixOptions<Name extends string> = OptionTable<Name | 'rest' | 'lrScale' | 'projectable' | 'fullRank'>;

/** The options of a rule for hidden matrices, with AdamW for the rest. */
function onMatrices<Name extends string>(name: Name, lrScale: number): MatrixOptions<Name> {
  return {
    [name]: { type: 'structure', meaning: `options of the rule \`${name}\`` },
    rest: { type: 'structure', default: 'adamW', meaning: 'the rule for all that is not a hidden matrix' },
    lrScale: { ...GROUP_OPTIONS.lrScale, default: lrScale, meaning: 'factor on the learning rate of hidden matrices' },
    projectable: { ...SCOPE.projectable, meaning: 'the hidden matrices: a `match` of a group' },
    fullRank: SCOPE.fullRank,
  } as MatrixOptions<Name>;
}

export const MATRIX_OPTIONS: {
  readonly muon: MatrixOptions<'muon'>;
  readonly foam: MatrixOptions<'foam'>;
  readonly ldAdam: MatrixOptions<'ldAdam'>;
  readonly soap: MatrixOptions<'soap'>;
  readonly sinkGd: MatrixOptions<'sinkGd'>;
} = {
  muon: onMatrices('muon', 20),
  foam: onMatrices('foam', 0.25),
  ldAdam: onMatrices('ldAdam', 1),
  soap: onMatrices('soap', 1),
  sinkGd: onMatrices('sinkGd', 0.05),
};

export const SCALE_OPTIONS: OptionTable<'momentum' | 'outputAxis' | 'embeddings' | 'lastLayer' | 'rest'> = {
  momentum: { type: 'number', interval: '[0, 1)', default: 0.9, meaning: 'momentum of the output layer' },
  outputAxis: { type: 'choice', choices: ['row', 'column'], default: 'row', meaning: 'the axis of the outputs' },
  embeddings: { type: 'structure', meaning: 'the embeddings: a `match` of a group' },
  lastLayer: { type: 'structure', meaning: 'the output layer: a `match` of a group' },
  rest: { type: 'structure', default: 'adamW', meaning: 'the rule for vectors' },
};

export const ADA_FRUGAL_OPTIONS: OptionTable<keyof typeof FRUGAL_OPTIONS | 'densityEnd' | 'refreshes'> = {
  ...FRUGAL_OPTIONS,
  density: { ...DENSITY, meaning: 'share of the projectable parameters that has state at first' },
  densityEnd: { ...DENSITY, default: 0.05, meaning: 'and in the end' },
  refreshes: { type: 'integer', minimum: 1, default: 100, meaning: 'choices of the subspace until then' },
};
export const FRUGAL_MUON_OPTIONS: OptionTable<
  | 'density'
  | 'projector'
  | 'stateFree'
  | 'stateFreeScale'
  | 'updateGap'
  | 'convolutions'
  | keyof typeof MATRIX_OPTIONS.muon
> = {
  density: DENSITY,
  projector: FRUGAL_OPTIONS.projector,
  stateFree: FRUGAL_OPTIONS.stateFree,
  stateFreeScale: { ...FRUGAL_OPTIONS.stateFreeScale, default: 0.05 },
  updateGap: UPDATE_GAP,
  ...MATRIX_OPTIONS.muon,
  ...SCOPE,
};

/** As `blockwise` has them, which loads tfjs. */
const BLOCK_ORDERS: readonly NonNullable<BlockwiseOptions['order']>[] = [
  'random',
  'shuffled',
  'ascending',
  'descending',
  'mirror',
];
const BLOCK_UNITS: readonly NonNullable<BlockwiseOptions['unit']>[] = ['matrix', 'layer'];

export const BADAM_OPTIONS: OptionTable<'density' | 'switchEvery' | 'order' | 'unit' | 'rule' | keyof typeof SCOPE> = {
  density: { ...DENSITY, meaning: 'share of the blocks that is trained at a time' },
  switchEvery: { ...UPDATE_GAP, default: 100, meaning: 'updates before the next blocks take their turn' },
  order: { type: 'choice', choices: BLOCK_ORDERS, default: 'descending', meaning: 'order of the blocks' },
  unit: { type: 'choice', choices: BLOCK_UNITS, default: 'layer', meaning: 'what a block is' },
  rule: { type: 'structure', default: 'adamW', meaning: 'the rule' },
  ...SCOPE,
  projectable: { ...PROJECTABLE, meaning: 'the parameters that take turns: a `match` of a group' },
};

export const SCHEDULE_FREE_OPTIONS: OptionTable<'rule' | 'beta' | 'power' | 'ratePower'> = {
  rule: { type: 'structure', meaning: 'the rule whose steps are averaged, one without momentum' },
  beta: { type: 'number', interval: '(0, 1]', default: 0.9, meaning: 'share of the average where gradients are taken' },
  power: { type: 'number', interval: '[0, Infinity)', default: 0, meaning: 'later steps count tʳ times as much' },
  ratePower: {
    type: 'number',
    interval: '[0, Infinity)',
    default: 2,
    meaning: 'a step counts as this power of the largest learning rate until then',
  },
};

const OF_THE_RULE: OptionSpec = { type: 'structure', meaning: 'as in the rule `adaLayer`' };

export const ADA_LAYER_OPTIONS: OptionTable<
  | 'adaptive'
  | 'rest'
  | 'restScale'
  | 'lastLayer'
  | 'norms'
  | 'outputAxis'
  | 'beta1'
  | 'beta2'
  | 'epsilon'
  | 'normalization'
> = {
  adaptive: {
    type: 'choice',
    choices: ['everywhere', 'lastLayerAndNorms'],
    default: 'everywhere',
    meaning: 'where there are second moments',
  },
  rest: {
    type: 'choice',
    choices: ['sgdm', 'signSgd'],
    default: 'sgdm',
    meaning: 'the rule for the rest under `lastLayerAndNorms`',
  },
  restScale: {
    type: 'number',
    interval: '[0, Infinity)',
    default: 1,
    meaning: 'factor on the learning rate of the rest',
  },
  lastLayer: { type: 'structure', meaning: 'the output layer: a `match` of a group' },
  norms: { type: 'structure', meaning: 'the normalizations: a `match` of a group' },
  outputAxis: {
    type: 'choice',
    choices: ['row', 'column'],
    default: 'row',
    meaning: 'the axis of the outputs in the last layer',
  },
  beta1: OF_THE_RULE,
  beta2: OF_THE_RULE,
  epsilon: OF_THE_RULE,
  normalization: OF_THE_RULE,
};

/** The recipes by name, in the order of the documentation, with the options that are their own. */
const RECIPE_OPTIONS: Readonly<Record<string, OptionTable>> = {
  frugal: FRUGAL_OPTIONS,
  'frugal-rows': frugalWith('rows'),
  'frugal-columns': frugalWith('columns'),
  'frugal-randK': frugalWith('randK'),
  'frugal-blockwise': frugalWith('blockwise'),
  'frugal-svd': frugalWith('svd'),
  'frugal-random': frugalWith('random'),
  'frugal-dct': frugalWith('dct'),
  galore: GALORE_OPTIONS,
  badam: BADAM_OPTIONS,
  golore: GOLORE_OPTIONS,
  qGalore: Q_GALORE_OPTIONS,
  dctAdamW: DCT_ADAM_W_OPTIONS,
  fira: FIRA_OPTIONS,
  apollo: APOLLO_OPTIONS,
  apolloMini: APOLLO_MINI_OPTIONS,
  ...MATRIX_OPTIONS,
  scale: SCALE_OPTIONS,
  frugalMuon: FRUGAL_MUON_OPTIONS,
  adaFrugal: ADA_FRUGAL_OPTIONS,
  lisa: { ...BADAM_OPTIONS, order: { ...BADAM_OPTIONS.order, default: 'random' } },
  adamW: {},
  lion: {},
  adaLayer: ADA_LAYER_OPTIONS,
  adafactor: {},
  adamMini: {},
  adamem: ADAMEM_OPTIONS,
  rmsprop: {},
  adagrad: {},
  scheduleFree: SCHEDULE_FREE_OPTIONS,
  sgd: {},
  sgdm: {},
  signSgd: {},
};

function frugalWith(projector: string): OptionTable {
  return { ...FRUGAL_OPTIONS, projector: { ...FRUGAL_OPTIONS.projector, default: projector } };
}

/**
 * The names that `recipe` knows, in the order of the documentation.
 *
 * @param pattern Only those that match, in upper or lower case; `*` stands for any characters, as in `frugal*`.
 */
export function listRecipes(pattern = '*'): readonly string[] {
  if (typeof pattern !== 'string') {
    throw new InvalidOptionError({ parameter: 'listRecipes', found: pattern, expected: "a pattern such as 'frugal*'" });
  }
  const source = pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*');
  const expression = new RegExp(`^${source}$`, 'i');
  return Object.keys(RECIPE_OPTIONS).filter(name => expression.test(name));
}

/**
 * The options of a recipe by name: first its own, then those of every recipe. A recipe that is one rule on all parameters
 * also takes the options of that rule, which are not listed.
 *
 * @throws UnknownNameError for a name that {@link listRecipes} does not list.
 */
export function recipeOptions(name: string): OptionTable {
  return { ...RECIPE_OPTIONS[requireRecipe(name)], ...COMMON_OPTIONS };
}

/** Checks that there is a recipe of this name, in upper or lower case, and returns it as {@link listRecipes} spells it. */
export function requireRecipe(name: string): string {
  const known = listRecipes().find(each => each.toLowerCase() === String(name).toLowerCase());
  if (known !== undefined) return known;
  throw new UnknownNameError({
    parameter: 'recipe',
    found: name,
    expected: `one of ${listRecipes().join(', ')}`,
    ...didYouMean(name, listRecipes()),
  });
}
