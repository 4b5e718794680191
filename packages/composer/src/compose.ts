/**
 * `@frugaljs/composer/compose`: the algebra without the parts that come with the library. A bundle then holds the rules
 * and projectors that it imports, and no others; what is to be built from JSON is registered first.
 */
export { drop } from './combine/drop.js';
export { type ResidualOptions, residual } from './combine/residual.js';
export { compositionFromJson, compositionToJson } from './composition.js';
export type { NamedTensor } from './gradients.js';
export { ComposedOptimizer, compose } from './optimizer.js';
export {
  type Clip,
  COMPOSE_OPTIONS,
  type ComposeOptions,
  GROUP_OPTIONS,
  type Group,
  type Match,
  type MatchConditions,
  type NamedShape,
  type NonFinitePolicy,
  SUBSPACE_OPTIONS,
  type SubspaceOptions,
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
export { subspace } from './subspace.js';
