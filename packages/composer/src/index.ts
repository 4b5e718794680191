import './built-ins.js';

export * from './compose.js';
export {
  combineFromJson,
  compositionFromJson,
  projectorFromJson,
  registerCombine,
  registerProjector,
  registerRule,
  ruleFromJson,
} from './json.js';
export * as recipes from './recipes/index.js';
// Those that are called as a rule is, such as `muon`, are in `recipes` alone.
export {
  adaFrugal,
  adamem,
  apollo,
  apolloMini,
  badam,
  dctAdamW,
  fira,
  frugal,
  frugalMuon,
  galore,
  golore,
  lisa,
  listRecipes,
  PROJECTABLE,
  qGalore,
  recipe,
  recipeOptions,
} from './recipes/index.js';
