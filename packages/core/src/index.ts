export * from './errors.js';
export * from './expression/index.js';
export {
  type ExpressionRule,
  expressionRule,
  type RuleInputs,
  type RuleOutputs,
  type StateFreeRule,
} from './expression-rule.js';
export type { Described, Json } from './json.js';
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
  registerKernels,
  type SplitAxis,
  type SplitTier,
  sharedRegistry,
} from './kernels.js';
export {
  didYouMean,
  requireBoolean,
  requireInteger,
  requireKnownKeys,
  requireNumber,
  requireOneOf,
} from './options.js';
export { perBackend } from './per-backend.js';
export type { Basis, BasisSpec, FitContext, Projector, ProjectorTraits } from './projector.js';
export * from './random/index.js';
export { roundHalfToEven } from './rounding.js';
export type { Combine, CombineInputs, CombineOutputs, OnRefresh, Refresh, Rule, SubspaceRule } from './rule.js';
export * from './schedules/index.js';
export { matrixView, type Shape, sameShape, sizeOf } from './shape.js';
export { childSite, type Site, type SiteMember, soleSite } from './site.js';
export { type Extent, type SlotSpec, slotBytes, slotShape } from './slots.js';
export { type TensorRule, type TensorRuleInputs, type TensorRuleOutputs, tensorRule } from './tensor-rule.js';
export { traceCombine, traceRule } from './trace.js';
