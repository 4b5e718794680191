export { drop } from './combine/drop.js';
export { type ResidualOptions, residual } from './combine/residual.js';
export {
  combineFromJson,
  projectorFromJson,
  registerCombine,
  registerProjector,
  registerRule,
  ruleFromJson,
} from './description/registry.js';
export { ComposedOptimizer, compose } from './optimizer/composed-optimizer.js';
export { compositionFromJson, compositionToJson } from './optimizer/composition-json.js';
export type { Explanation, ExplanationRow } from './optimizer/explain.js';
export type { NamedTensor } from './optimizer/gradients.js';
export type { MemoryReport, MemoryRow } from './optimizer/memory-report.js';
export type {
  Clip,
  ComposeOptions,
  Group,
  Match,
  MatchConditions,
  NamedShape,
  NonFinitePolicy,
} from './optimizer/options.js';
export type { ReportedParameter, ReportedParameters } from './optimizer/reported-parameters.js';
export * as recipes from './recipes/index.js';
export { badam, frugal, galore, listRecipes, PROJECTABLE, recipe } from './recipes/index.js';
export { type SubspaceOptions, subspace } from './subspace.js';
