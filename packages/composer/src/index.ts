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
export { badam, frugal, galore, listRecipes, PROJECTABLE, recipe, recipeOptions } from './recipes/index.js';
