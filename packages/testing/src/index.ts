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
export { BrokenLaw, type Law } from './law.js';
export { checkProjector, PROJECTOR_LAWS } from './projector/check-projector.js';
export type { ProjectorClaims, ProjectorFactory, ProjectorLawOptions } from './projector/subject.js';
export { explainFailure, formatReport, type LawResult, type Report } from './report.js';
export { DEFAULT_RUNS, DEFAULT_SEED, type RunOptions } from './run-laws.js';
