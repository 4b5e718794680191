import { didYouMean, type Json, scheduleFromJson, UnknownNameError } from '@frugaljs/core';
import type { ComposedOptimizer } from '../optimizer/composed-optimizer.js';
import { adaLayer } from './ada-layer.js';
import { badam } from './badam.js';
import { type FrugalOptions, frugal } from './frugal.js';
import { galore } from './galore.js';
import { adafactor, adamMini, adamW, lion, rmsprop, sgd, sgdm, signSgd } from './plain.js';

type Recipe = (options: never) => ComposedOptimizer;

const frugalWith =
  (projector: string): Recipe =>
  (options: FrugalOptions = {}) =>
    frugal({ projector, ...options });

const CATALOG: Readonly<Record<string, Recipe>> = {
  frugal,
  'frugal-rows': frugalWith('rows'),
  'frugal-columns': frugalWith('columns'),
  'frugal-randk': frugalWith('randK'),
  'frugal-blockwise': frugalWith('blockwise'),
  'frugal-svd': frugalWith('svd'),
  'frugal-random': frugalWith('random'),
  'frugal-dct': frugalWith('dct'),
  galore,
  badam,
  adamW,
  lion,
  adaLayer,
  adafactor,
  adamMini,
  rmsprop,
  sgd,
  sgdm,
  signSgd,
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
  const make = Object.hasOwn(CATALOG, name) ? CATALOG[name]! : undefined;
  if (make === undefined) {
    throw new UnknownNameError({
      parameter: 'recipe',
      found: name,
      expected: `one of ${listRecipes().join(', ')}`,
      ...didYouMean(name, listRecipes()),
    });
  }
  const { learningRate } = options;
  const isSchedule = typeof learningRate === 'object' && learningRate !== null && 'kind' in learningRate;
  const filled = isSchedule ? { ...options, learningRate: scheduleFromJson(learningRate as never) } : options;
  return make(filled as never);
}
