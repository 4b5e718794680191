export * from './errors.js';
export {
  BINARY_OPERATIONS,
  type BinaryOperation,
  type Graph,
  type GraphNode,
  type GraphOutput,
  hostValues,
  inputNames,
  lastReads,
  type NodeExtent,
  neededNodes,
  needsMatrixView,
  operandsOf,
  REDUCTIONS,
  type Reduction,
  scalarNames,
  UNARY_OPERATIONS,
  type UnaryOperation,
} from './graph/graph.js';
export { interpret } from './graph/interpreter.js';
export { inlineGraph, simplify } from './graph/rewrite.js';
export { type Operand, select, Tracer, Value } from './graph/tracer.js';
export {
  type BackendTraits,
  backendTraits,
  type CheckLimits,
  type CheckReport,
  type CheckResult,
  type FiniteCheck,
  type KernelInputs,
  type KernelSet,
  kernelsFor,
  type NumberedGradient,
  perBackend,
  registerKernels,
  type SplitAxis,
  type SplitTier,
  sharedRegistry,
} from './kernels.js';
export type { Described, Json } from './options.js';
export {
  didYouMean,
  requireBoolean,
  requireInteger,
  requireKnownKeys,
  requireNumber,
  requireOneOf,
} from './options.js';
export type { Basis, BasisSpec, FitContext, Projector, ProjectorTraits } from './projector.js';
export {
  cosTurns,
  naturalLog,
  type RandomKey,
  randomInteger,
  randomKey,
  randomNormals,
  randomPermutation,
  randomUniform,
  sinTurns,
  threefry2x32,
} from './random/keys.js';
export { randomSubset, randomSubsetByMask } from './random/subsets.js';
export type { Combine, CombineInputs, CombineOutputs, OnRefresh, Refresh, Rule, SubspaceRule } from './rule.js';
export {
  type ExpressionRule,
  expressionRule,
  type RuleInputs,
  type RuleOutputs,
  type StateFreeRule,
  type TensorRule,
  type TensorRuleInputs,
  type TensorRuleOutputs,
  tensorRule,
  traceCombine,
  traceRule,
} from './rule.js';
export type { Schedule } from './schedules.js';
export {
  type CosineOptions,
  constant,
  cosine,
  type JoinedPart,
  joined,
  type LinearOptions,
  linear,
  registerSchedule,
  scheduleFromJson,
  type WarmupCosineOptions,
  type WarmupStableDecayOptions,
  warmupCosine,
  warmupStableDecay,
} from './schedules.js';
export {
  childSite,
  type Extent,
  matrixView,
  roundHalfToEven,
  type Shape,
  type Site,
  type SiteMember,
  type SlotSpec,
  sameShape,
  sizeOf,
  slotBytes,
  slotShape,
  soleSite,
} from './slots.js';
