export { type AdaLayerRecipeOptions, adaLayer } from './ada-layer.js';
export { type ApolloMiniOptions, type ApolloOptions, apollo, apolloMini } from './apollo.js';
export { type BadamOptions, badam, lisa } from './badam.js';
export { recipe } from './catalog.js';
export { type FiraOptions, fira } from './fira.js';
export { type AdaFrugalOptions, adaFrugal, type FrugalOptions, frugal } from './frugal.js';
export {
  type AdamemOptions,
  adamem,
  type DctAdamWOptions,
  dctAdamW,
  type GaloreOptions,
  type GoloreOptions,
  galore,
  golore,
  type QGaloreOptions,
  qGalore,
} from './galore.js';
export {
  type FrugalMuonOptions,
  foam,
  frugalMuon,
  ldAdam,
  type MatrixRecipeOptions,
  muon,
  type ScaleOptions,
  scale,
  sinkGd,
  soap,
} from './matrix-rules.js';
export { listRecipes, recipeOptions } from './options.js';
export {
  adafactor,
  adagrad,
  adamMini,
  adamW,
  lion,
  rmsprop,
  type ScheduleFreeRecipeOptions,
  scheduleFree,
  sgd,
  sgdm,
  signSgd,
} from './plain.js';
export type { CommonOptions, ProjectorChoice, RuleChoice } from './settings.js';
export { PROJECTABLE } from './settings.js';
