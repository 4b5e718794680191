export { type AdaLayerRecipeOptions, adaLayer } from './ada-layer.js';
export { type BadamOptions, badam } from './badam.js';
export { recipe } from './catalog.js';
export { type FrugalOptions, frugal } from './frugal.js';
export { type GaloreOptions, galore } from './galore.js';
export { listRecipes, recipeOptions } from './options.js';
export { adafactor, adamMini, adamW, lion, rmsprop, sgd, sgdm, signSgd } from './plain.js';
export type { CommonOptions, ProjectorChoice, RuleChoice } from './settings.js';
export { PROJECTABLE } from './settings.js';
