/**
 * `@frugaljs/composer/compose`: the algebra alone. A bundle then holds the rules and projectors that it imports, and no
 * others. What reads compositions from JSON, and so models with their optimizer, is `@frugaljs/composer/json`.
 */
export { drop } from './combine/drop.js';
export { feedback } from './combine/feedback.js';
export { type ResidualOptions, residual } from './combine/residual.js';
export { type ScaledGradientOptions, scaledGradient } from './combine/scaled-gradient.js';
export { type ScaledResidualOptions, scaledResidual } from './combine/scaled-residual.js';
export { compositionToJson } from './composition.js';
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
export type {
  Explanation,
  ExplanationRow,
  MemoryPeak,
  MemoryReport,
  MemoryRow,
  ReportedParameter,
  ReportedParameters,
} from './reports.js';
export { subspace } from './subspace.js';
export {
  type AveragedOptions,
  averaged,
  type BiasCorrectedOptions,
  biasCorrected,
  type CautiousOptions,
  cautious,
  type EmaOptions,
  ema,
  type LimitGrowthOptions,
  limitGrowth,
  type NormalizedOptions,
  normalized,
  type ScheduleFreeOptions,
  scaled,
  scheduleFree,
} from './wrappers.js';
