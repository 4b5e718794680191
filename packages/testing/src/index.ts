export {
  buildComposition,
  type Composition,
  type CompositionOptions,
  compositions,
  type RuleName,
  takesSignOfNoise,
} from './arbitraries/compositions.js';
export { densities } from './arbitraries/densities.js';
export {
  type GradientStream,
  gradientAt,
  gradientStreams,
  type StreamOptions,
  startOf,
} from './arbitraries/gradient-streams.js';
export {
  MATRIX_KINDS,
  type Matrix,
  type MatrixKind,
  type MatrixOptions,
  type MatrixRecipe,
  matrices,
  matrixRecipes,
  matrixValues,
} from './arbitraries/matrices.js';
export {
  CONVEX_PROFILES,
  NON_CONVEX_PROFILES,
  type Objective,
  type ObjectiveOptions,
  type ObjectiveRecipe,
  objective,
  objectiveRecipes,
  type Profile,
} from './arbitraries/objectives.js';
export { degenerateShapes, type Parameters, type ShapeOptions, shapes } from './arbitraries/shapes.js';
export { checkFile, checkModule, type ModuleLaws } from './check-module.js';
export { checkCombine } from './combine/check-combine.js';
export { COMBINE_LAWS } from './combine/laws.js';
export type { CombineClaims, CombineFactory, CombineLawOptions } from './combine/subject.js';
export { checkKernels, KERNEL_LAWS, type KernelLawOptions } from './kernel/check-kernels.js';
export { BrokenLaw, type Law } from './law.js';
export type { Algebra, GroupSettings, LawfulOptimizer, ProjectorName } from './optimizer/algebra.js';
export { checkOptimizer, OPTIMIZER_LAWS, type OptimizerLawOptions } from './optimizer/check-optimizer.js';
export { checkProjector, PROJECTOR_LAWS } from './projector/check-projector.js';
export type { ProjectorClaims, ProjectorFactory, ProjectorLawOptions } from './projector/subject.js';
export { explainFailure, formatReport, type LawResult, type Report } from './report.js';
export { checkRule, RULE_LAWS } from './rule/check-rule.js';
export type { Recursion, RuleClaims, RuleFactory, RuleLawOptions } from './rule/subject.js';
export { DEFAULT_OPTIMIZER_RUNS, DEFAULT_RUNS, DEFAULT_SEED, type RunOptions } from './run-laws.js';
