import { InvalidOptionError } from '@frugaljs/core';
import type { ComposedOptimizer } from '../optimizer.js';
import { adaLayer } from './ada-layer.js';
import { apollo, apolloMini } from './apollo.js';
import { badam, lisa } from './badam.js';
import { fira } from './fira.js';
import { adaFrugal, type FrugalOptions, frugal } from './frugal.js';
import { adamem, dctAdamW, galore, golore, qGalore } from './galore.js';
import { foam, frugalMuon, ldAdam, muon, scale, sinkGd, soap } from './matrix-rules.js';
import { requireRecipe } from './options.js';
import { adafactor, adagrad, adamMini, adamW, lion, rmsprop, scheduleFree, sgd, sgdm, signSgd } from './plain.js';

type Recipe = (options: never) => ComposedOptimizer;

const frugalWith =
  (projector: string): Recipe =>
  (options: FrugalOptions = {}) =>
    frugal({ projector, ...options });

const CATALOG: Readonly<Record<string, Recipe>> = {
  frugal,
  'frugal-rows': frugalWith('rows'),
  'frugal-columns': frugalWith('columns'),
  'frugal-randK': frugalWith('randK'),
  'frugal-blockwise': frugalWith('blockwise'),
  'frugal-svd': frugalWith('svd'),
  'frugal-random': frugalWith('random'),
  'frugal-dct': frugalWith('dct'),
  galore,
  badam,
  golore,
  qGalore,
  dctAdamW,
  fira,
  apollo,
  apolloMini,
  muon,
  foam,
  ldAdam,
  soap,
  sinkGd,
  scale,
  frugalMuon,
  adaFrugal,
  lisa,
  adamW,
  lion,
  adaLayer,
  adafactor,
  adamMini,
  adamem,
  rmsprop,
  adagrad,
  scheduleFree,
  sgd,
  sgdm,
  signSgd,
};

/**
 * Makes an optimizer from a recipe's name and its options, which may all be JSON: a schedule, rule or projector is itself or
 * its description.
 *
 * @throws UnknownNameError for a name that `listRecipes` does not list.
 */
export function recipe(name: string, options: { readonly [option: string]: unknown } = {}): ComposedOptimizer {
  const known = requireRecipe(name);
  if (typeof options !== 'object' || options === null) {
    throw new InvalidOptionError({ parameter: `recipe ${name}`, found: options, expected: 'an object of options' });
  }
  return CATALOG[known]!(options as never);
}
