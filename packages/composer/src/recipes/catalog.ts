import { didYouMean, type Json, type OptionTable, scheduleFromJson, UnknownNameError } from '@frugaljs/core';
import type { ComposedOptimizer } from '../optimizer.js';
import { ADA_LAYER_OPTIONS, adaLayer } from './ada-layer.js';
import { BADAM_OPTIONS, badam } from './badam.js';
import { FRUGAL_OPTIONS, type FrugalOptions, frugal } from './frugal.js';
import { GALORE_OPTIONS, galore } from './galore.js';
import { adafactor, adamMini, adamW, lion, rmsprop, sgd, sgdm, signSgd } from './plain.js';
import { COMMON_OPTIONS } from './settings.js';

interface Entry {
  readonly make: (options: never) => ComposedOptimizer;
  /** Options beside those of every recipe and, where the recipe is one rule on all parameters, those of that rule. */
  readonly options: OptionTable;
}

const frugalWith = (projector: string): Entry => ({
  make: (options: FrugalOptions = {}) => frugal({ projector, ...options }),
  options: { ...FRUGAL_OPTIONS, projector: { ...FRUGAL_OPTIONS.projector, default: projector } },
});

const plain = (make: Entry['make']): Entry => ({ make, options: {} });

const CATALOG: Readonly<Record<string, Entry>> = {
  frugal: { make: frugal, options: FRUGAL_OPTIONS },
  'frugal-rows': frugalWith('rows'),
  'frugal-columns': frugalWith('columns'),
  'frugal-randk': frugalWith('randK'),
  'frugal-blockwise': frugalWith('blockwise'),
  'frugal-svd': frugalWith('svd'),
  'frugal-random': frugalWith('random'),
  'frugal-dct': frugalWith('dct'),
  galore: { make: galore, options: GALORE_OPTIONS },
  badam: { make: badam, options: BADAM_OPTIONS },
  adamW: plain(adamW),
  lion: plain(lion),
  adaLayer: { make: adaLayer, options: ADA_LAYER_OPTIONS },
  adafactor: plain(adafactor),
  adamMini: plain(adamMini),
  rmsprop: plain(rmsprop),
  sgd: plain(sgd),
  sgdm: plain(sgdm),
  signSgd: plain(signSgd),
};

/**
 * The names that {@link recipe} knows, in the order of the documentation.
 *
 * @param pattern Only those that match; `*` stands for any characters, as in `frugal*`.
 */
export function listRecipes(pattern = '*'): readonly string[] {
  const source = pattern.replace(/[.+?^${}()|[\]\\]/g, '\\$&').replaceAll('*', '.*');
  const expression = new RegExp(`^${source}$`);
  return Object.keys(CATALOG).filter(name => expression.test(name));
}

/**
 * Makes an optimizer from a recipe's name and JSON options; a schedule is given by its description.
 *
 * @throws UnknownNameError for a name that {@link listRecipes} does not list.
 */
export function recipe(name: string, options: { readonly [key: string]: Json | undefined } = {}): ComposedOptimizer {
  const { make } = entryOf(name);
  const { learningRate } = options;
  const isSchedule = typeof learningRate === 'object' && learningRate !== null && 'kind' in learningRate;
  const filled = isSchedule ? { ...options, learningRate: scheduleFromJson(learningRate as never) } : options;
  return make(filled as never);
}

/**
 * The options of a recipe by name: first its own, then those of every recipe. A recipe that is one rule on all parameters
 * also takes the options of that rule, which are not listed.
 *
 * @throws UnknownNameError for a name that {@link listRecipes} does not list.
 */
export function recipeOptions(name: string): OptionTable {
  return { ...entryOf(name).options, ...COMMON_OPTIONS };
}

function entryOf(name: string): Entry {
  if (Object.hasOwn(CATALOG, name)) return CATALOG[name]!;
  throw new UnknownNameError({
    parameter: 'recipe',
    found: name,
    expected: `one of ${listRecipes().join(', ')}`,
    ...didYouMean(name, listRecipes()),
  });
}
