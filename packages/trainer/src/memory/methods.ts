import { type ComposedOptimizer, compose, PROJECTABLE, recipe, residual, subspace } from '@frugaljs/composer';
import type { Json } from '@frugaljs/core';
import { svd } from '@frugaljs/projectors';
import { adamMini, adamW, factoredAdamW, oneSidedAdafactor } from '@frugaljs/state-full';
import { type MemoryEstimate, type PlannedModel, variablesOf } from './memory-of.js';

/** A row of the table of methods. */
export interface PlannedMethod {
  readonly label: string;
  /** The optimizer whose state the row is about. */
  readonly optimizer: () => ComposedOptimizer;
}

/** A recipe and its options, as `frugal train` takes them. */
export interface PlannedRecipe {
  readonly recipe: string;
  readonly options: { readonly [key: string]: Json };
}

/**
 * The projectors that FRUGAL is planned with, in order of preference. The first four leave an exact residual and are
 * updated in one pass in place; of these `rows` moves whole rows, `columns` parts of all rows, `randK` needs an index for
 * every number, and `blockwise` leaves most matrices without state until their turn. The others multiply matrices in
 * every step: `dct` stores next to nothing, `svd` a basis that it computes from the gradient, `random` one that it does
 * not.
 */
export const PLANNED_PROJECTORS: readonly string[] = ['rows', 'columns', 'randK', 'blockwise', 'dct', 'svd', 'random'];

/** FRUGAL; block-wise with blocks in descending order, because a random one does not keep to its density. */
export function frugalRecipe(projector: string, density: number): PlannedRecipe {
  const blocks = { kind: projector, options: { density, order: 'descending' } };
  return { recipe: 'frugal', options: { projector: projector === 'blockwise' ? blocks : projector, density } };
}

/** FRUGAL with ρ = 0 that treats embeddings and normalizations like hidden matrices: only the output layer has state. */
export function outputLayerRecipe(model: PlannedModel): PlannedRecipe {
  const tied = 'config' in model && model.config.tie_word_embeddings;
  const output = tied ? /embed_tokens/ : /lm_head|logits|classifier|(^|[./_])score([./_]|$)/i;
  const names = variablesOf(model)
    .map(({ name }) => name)
    .filter(name => output.test(name));
  return { recipe: 'frugal', options: { projector: 'randK', density: 0, projectable: { not: names } } };
}

/** The methods that a memory table compares. */
export function plannedMethods(model: PlannedModel, density = 0.25): readonly PlannedMethod[] {
  const at = ` ρ=${density}`;
  const plain = (label: string, name: string, options: { readonly [key: string]: Json } = {}): PlannedMethod => ({
    label,
    optimizer: () => recipe(name, options),
  });
  const frugal = frugalRecipe('rows', 0);
  const outputLayer = outputLayerRecipe(model);
  return [
    plain('AdamW', 'adamW'),
    { label: 'Adam-mini', optimizer: () => adamMiniOf(model) },
    plain('Adafactor with momentum', 'adafactor', { beta1: 0.9 }),
    plain('AdaLayer', 'adaLayer', { adaptive: 'lastLayerAndNorms' }),
    plain('Lion', 'lion'),
    plain('SGD with momentum', 'sgdm'),
    plain(`GaLore${at}`, 'galore', { density }),
    plain(`BAdam${at}`, 'badam', { density }),
    { label: `AdaMeM${at}`, optimizer: () => adaMem(density) },
    ...PLANNED_PROJECTORS.map(name => {
      const planned = frugalRecipe(name, density);
      return plain(`FRUGAL ${name}${at}`, planned.recipe, planned.options);
    }),
    plain('FRUGAL ρ=0', frugal.recipe, frugal.options),
    plain('FRUGAL ρ=0, output layer only', outputLayer.recipe, outputLayer.options),
    plain('Adafactor', 'adafactor'),
    plain('signSGD', 'signSgd'),
  ];
}

/**
 * Adam-mini with the partition of its authors: a second moment per head of queries and keys, per row of all other
 * matrices, and per tensor of normalizations.
 */
function adamMiniOf(model: PlannedModel): ComposedOptimizer {
  if (!('config' in model)) return recipe('adamMini');
  const { num_attention_heads: queries, num_key_value_heads: keys } = model.config;
  return compose({
    learningRate: 1e-3,
    groups: [
      { match: /q_proj/, use: adamMini({ heads: queries }), optional: true },
      { match: /k_proj/, use: adamMini({ heads: keys }), optional: true },
      { match: /norm/, use: adamMini({ block: 'tensor' }), optional: true },
      { use: adamMini({ block: 'row' }) },
    ],
  });
}

/** AdaMeM: momentum in a subspace, factored second moments there, one per row for the rest of the gradient. */
function adaMem(density: number): ComposedOptimizer {
  const projected = subspace({
    projector: svd({ density }),
    rule: factoredAdamW({ secondMomentOf: 'momentum' }),
    combine: residual(oneSidedAdafactor()),
  });
  return compose({
    learningRate: 1e-3,
    groups: [{ match: PROJECTABLE, use: projected, optional: true }, { use: adamW() }],
  });
}

/** A composition that was considered. */
export interface Candidate extends PlannedRecipe {
  readonly label: string;
  /** Share of the hidden matrices with state; null for methods below FRUGAL with ρ = 0. */
  readonly density: number | null;
  /** Null where the projector makes no difference. */
  readonly projector: string | null;
  readonly memory: MemoryEstimate;
  readonly fits: boolean;
}

/** The options of `frugal train` for a candidate, each with a space in front. */
export function commandOf({ recipe: name, options }: Pick<Candidate, 'recipe' | 'options'>): string {
  const flags = Object.entries(options).map(([key, value]) => {
    if (typeof value === 'object') return ` --set '${key}=${JSON.stringify(value)}'`;
    return ` --${key} ${value}`;
  });
  return ` --optimizer ${name}${flags.join('')}`;
}
