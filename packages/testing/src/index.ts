export {
  buildComposition,
  type CombineName,
  type Composition,
  type CompositionOptions,
  compositions,
  densities,
  partsOf,
  type RuleName,
  takesSignOfNoise,
  type WrapperName,
} from './arbitraries/compositions.js';
export {
  degenerateShapes,
  type GradientStream,
  gradientAt,
  gradientStreams,
  MATRIX_KINDS,
  type Matrix,
  type MatrixKind,
  type MatrixOptions,
  type MatrixRecipe,
  matrices,
  matrixRecipes,
  matrixValues,
  type Parameters,
  type ShapeOptions,
  type StreamOptions,
  shapes,
  startOf,
} from './arbitraries/gradients.js';
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
export {
  COMBINE_LAWS,
  checkCombine,
  checkFile,
  checkKernels,
  checkModule,
  checkOptimizer,
  checkProjector,
  checkRule,
  checkWrapper,
  type ModuleLaws,
  OPTIMIZER_LAWS,
  type OptimizerLawOptions,
  PROJECTOR_LAWS,
  RULE_LAWS,
} from './check.js';
export type { CombineClaims, CombineFactory, CombineLawOptions, GrowthLimit } from './combine/fixture.js';
export { KERNEL_LAWS, type KernelLawOptions } from './kernel-laws.js';
export { BrokenLaw, type Law } from './law.js';
export type { Algebra, GroupSettings, LawfulOptimizer, ProjectorName } from './optimizer/fixture.js';
export type { ProjectorClaims, ProjectorFactory, ProjectorLawOptions } from './projector/fixture.js';
export { explainFailure, formatReport, type LawResult, type Report } from './report.js';
export type { Recursion, RuleClaims, RuleFactory, RuleLawOptions } from './rule/fixture.js';
export { DEFAULT_OPTIMIZER_RUNS, DEFAULT_RUNS, DEFAULT_SEED, type RunOptions } from './run.js';
export type { WrapperClaims, WrapperFactory, WrapperFormula, WrapperLawOptions } from './wrapper/fixture.js';
export { WRAPPER_LAWS } from './wrapper/laws.js';
