/**
 * `@frugaljs/composer/compose`: the algebra without the parts that come with the library. A bundle then holds the rules
 * and projectors that it imports, and no others; what is to be built from JSON is registered first.
 */
export { drop } from './combine/drop.js';
export { type ResidualOptions, residual } from './combine/residual.js';
export type { NamedTensor } from './gradients.js';
export { GROUP_OPTIONS, type Group, type Match, type MatchConditions, type NamedShape } from './groups.js';
export { ComposedOptimizer, compose } from './optimizer.js';
export {
  type Clip,
  COMPOSE_OPTIONS,
  type ComposeOptions,
  compositionFromJson,
  compositionToJson,
  type NonFinitePolicy,
} from './options.js';
export {
  combineFromJson,
  projectorFromJson,
  registerCombine,
  registerProjector,
  registerRule,
  ruleFromJson,
} from './registry.js';
export type {
  Explanation,
  ExplanationRow,
  MemoryReport,
  MemoryRow,
  ReportedParameter,
  ReportedParameters,
} from './reports.js';
export { SUBSPACE_OPTIONS, type SubspaceOptions, subspace } from './subspace.js';
